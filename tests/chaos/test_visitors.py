"""Who stays until it is answered is heard: a call that has to be made again for no fault of its caller is counted."""

from pathlib import Path

import grpc
import pytest
from holdfast.inventory.v1 import inventory_pb2_grpc, reservation_pb2

from chaos.campaign import Trial
from chaos.visitors import Visitors
from tests.support.services import Pair
from tests.support.town import Town


class _Refusing(inventory_pb2_grpc.InventoryServiceServicer):
    """Refuses the first calls with these codes."""

    def __init__(self, *codes: grpc.StatusCode) -> None:
        self._codes = list(codes)

    async def ReleaseReservation(
        self,
        request: reservation_pb2.ReleaseReservationRequest,
        context: grpc.aio.ServicerContext[
            reservation_pb2.ReleaseReservationRequest, reservation_pb2.ReleaseReservationResponse
        ],
    ) -> reservation_pb2.ReleaseReservationResponse:
        if self._codes:
            await context.abort(self._codes.pop(0), "not now")
        return reservation_pb2.ReleaseReservationResponse()


@pytest.mark.parametrize(
    "codes", [[], [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED]]
)
async def test_a_call_is_unanswered_where_nobody_has_left(
    tmp_path: Path, codes: list[grpc.StatusCode]
) -> None:
    server = grpc.aio.server()
    inventory_pb2_grpc.add_InventoryServiceServicer_to_server(_Refusing(*codes), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    town, trial = Town(Pair("", "", tmp_path)), Trial(1, 7, tmp_path)
    visitors = Visitors(trial, town, leaving=0.0)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = inventory_pb2_grpc.InventoryServiceStub(channel)
        await visitors._insist(stub.ReleaseReservation, reservation_pb2.ReleaseReservationRequest())
    await town.close()
    await server.stop(None)

    assert visitors.unanswered == len(codes)
    assert trial.faults.total() == 0
