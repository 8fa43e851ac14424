"""The inventory service: commands that may be repeated, and what its answers mean."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from datetime import UTC
from typing import TypeVar

import grpc
from holdfast.client.channels import KEEPALIVE, Option
from holdfast.client.service_config import IN_TURN
from holdfast.inventory.v1 import inventory_pb2_grpc
from holdfast.inventory.v1 import reservation_pb2 as pb

from delivery_service.application.stock_ports import (
    Answer,
    Done,
    Hold,
    InventoryUnreachable,
    Refused,
    TryLater,
)
from delivery_service.gateways.inventory_refusals import refusal, said, wait_seconds
from servicekit import traces
from servicekit.access import certificates
from servicekit.access.certificates import Certificates, Pems
from servicekit.crash_points import crash_point
from servicekit.polling import Poller

Request = TypeVar(
    "Request", pb.ReserveStockRequest, pb.CommitReservationRequest, pb.ReleaseReservationRequest
)
Reply = TypeVar("Reply", pb.ReserveStockResponse, pb.CommitReservationResponse, pb.ReleaseReservationResponse)

HOLDER = "delivery"
CALL_SECONDS = 3.0
RENEWAL_SECONDS = 10.0
PAGE_SIZE = 500

_CHANNEL_OPTIONS: list[Option] = [
    *KEEPALIVE,
    # To every replica in turn. The outbox repeats and bounds its calls itself.
    ("grpc.service_config", json.dumps({"loadBalancingConfig": IN_TURN})),
    # The relay comes back by itself; a channel that sleeps for long after an outage would hold it up.
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.initial_reconnect_backoff_ms", 100),
    # A refusal with 200 lines has large trailers.
    ("grpc.max_metadata_size", 64 * 1024),
]

# Answers that will not change by asking again. Everything else may be a matter of time: also who may call what, which
# is written in a file; only whose reservation it is stays so.
_NOT_OURS = "CALLER_NOT_ALLOWED"
_DEFINITE = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.ALREADY_EXISTS,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.OUT_OF_RANGE,
    }
)
_STATES = {
    value: name.removeprefix("RESERVATION_STATE_") for name, value in pb.ReservationState.items() if value
}


def open_channel(address: str, pems: Pems | None = None) -> grpc.aio.Channel:
    """A channel to every address of the inventory service; it notices dead peers and comes back quickly."""
    return certificates.open_channel(address, pems, _CHANNEL_OPTIONS)


class InventoryGateway:
    """Inventory over one channel, as the actor `system:delivery`."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._use(channel)

    def _use(self, channel: grpc.aio.Channel) -> None:
        self.channel = channel
        self._stub = inventory_pb2_grpc.InventoryServiceStub(channel)

    async def move_to(self, channel: grpc.aio.Channel) -> None:
        """Calls over this channel from now on; those under way on the last one end first."""
        last = self.channel
        self._use(channel)
        await last.close(CALL_SECONDS)

    async def close(self) -> None:
        """Ends the channel."""
        await self.channel.close()

    async def reserve(self, reservation_id: str, lines: Mapping[str, int], trace: str) -> Answer:
        """Holds every line or none, without an end: the outbox sees to that."""
        request = pb.ReserveStockRequest(
            reservation_id=reservation_id,
            holder=HOLDER,
            lines=[pb.ReservationLine(sku=sku, quantity=quantity) for sku, quantity in lines.items()],
        )
        return await _answer(self._stub.ReserveStock, request, trace, lines, wanted={"HELD", "COMMITTED"})

    async def commit(self, reservation_id: str, trace: str) -> Answer:
        """Takes what is held off the shelf."""
        request = pb.CommitReservationRequest(reservation_id=reservation_id)
        return await _answer(self._stub.CommitReservation, request, trace, {}, wanted={"COMMITTED"})

    async def release(self, reservation_id: str, trace: str) -> Answer:
        """Gives back what is held; closes the id where nothing is."""
        request = pb.ReleaseReservationRequest(reservation_id=reservation_id)
        return await _answer(
            self._stub.ReleaseReservation, request, trace, {}, wanted={"RELEASED", "EXPIRED"}
        )

    async def holds(self) -> AsyncIterator[Hold]:
        """Every open hold of ours, page by page. Raises InventoryUnreachable."""
        request = pb.ListReservationsRequest(
            holder=HOLDER, state=pb.RESERVATION_STATE_HELD, page_size=PAGE_SIZE
        )
        while True:
            try:
                page = await self._stub.ListReservations(
                    request, timeout=CALL_SECONDS, metadata=_metadata("check")
                )
            except grpc.aio.AioRpcError as error:
                raise InventoryUnreachable(said(error)) from error
            for reservation in page.reservations:
                yield _hold(reservation)
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def hold(self, reservation_id: str) -> Hold | None:
        """One hold, whatever became of it. Raises InventoryUnreachable."""
        try:
            reply = await self._stub.GetReservation(
                pb.GetReservationRequest(reservation_id=reservation_id),
                timeout=CALL_SECONDS,
                metadata=_metadata("check"),
            )
        except grpc.aio.AioRpcError as error:
            # Under an id that inventory refuses to read there is nothing either.
            if error.code() in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT):
                return None
            raise InventoryUnreachable(said(error)) from error
        return _hold(reply.reservation)


def channel_renewal(gateway: InventoryGateway, address: str, own: Certificates, shown: Pems) -> Poller:
    """Moves the gateway to a channel with our newest certificate: one keeps what it was opened with, here `shown`."""

    async def renew() -> bool:
        nonlocal shown
        before, shown = shown, own.current()
        if shown is not before:
            await gateway.move_to(open_channel(address, shown))
        return False

    return Poller("channel renewal", renew, idle_seconds=RENEWAL_SECONDS)


async def _answer(
    method: grpc.aio.UnaryUnaryMultiCallable[Request, Reply],
    request: Request,
    trace: str,
    lines: Mapping[str, int],
    *,
    wanted: set[str],
) -> Answer:
    """Calls once within a time of its own and reads the status: done, try later, or refused."""
    crash_point("call.before_send")
    try:
        with traces.span(request.DESCRIPTOR.name.removesuffix("Request"), "client"):
            call = method(request, timeout=CALL_SECONDS, metadata=_metadata(trace))
            # One turn of the loop sends the request.
            await asyncio.sleep(0)
            crash_point("call.after_send")
            reply = await call
    except grpc.aio.AioRpcError as error:
        crash_point("call.after_reply")
        refused = refusal(error, lines)
        if error.code() in _DEFINITE or refused.reason == _NOT_OURS:
            return refused
        return TryLater(said(error), wait_seconds(error))
    crash_point("call.after_reply")
    state = _STATES.get(reply.reservation.state, "")
    if state in wanted:
        return Done()
    return Refused("RESERVATION_ALREADY_RESOLVED", f"the reservation is {state}")


def _metadata(trace: str) -> tuple[tuple[str, str], ...]:
    named = (("actor-role", "system"), ("actor-id", "delivery"), ("x-call-id", trace or "relay"))
    return (*named, *traces.outgoing())


def _hold(reservation: pb.Reservation) -> Hold:
    lines = {line.sku: line.quantity for line in reservation.lines}
    created = reservation.create_time.ToDatetime(UTC) if reservation.HasField("create_time") else None
    return Hold(reservation.reservation_id, _STATES.get(reservation.state, ""), lines, created)
