"""Delivery's own certificate, shown to inventory, and what becomes of it when it is replaced."""

import asyncio
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from holdfast.inventory.v1 import inventory_pb2_grpc
from holdfast.inventory.v1 import reservation_pb2 as pb

from delivery_service.application.record_answers import pause_seconds
from delivery_service.application.stock_ports import InventoryUnreachable, TryLater
from delivery_service.gateways.inventory import InventoryGateway, channel_renewal, open_channel
from inventory_service import bootstrap
from inventory_service.settings import Settings
from servicekit.access.certificates import Pems
from servicekit.process.server import Server
from servicekit.rpc.context import Context
from tests.servicekit.waiting import until
from tests.support.wallet import Wallet


class Reservations(inventory_pb2_grpc.InventoryServiceServicer):
    """Remembers whose certificates it was shown."""

    def __init__(self) -> None:
        self.shown: list[int] = []
        self.asked = asyncio.Event()
        self.answer = asyncio.Event()
        self.answer.set()

    async def GetReservation(self, request: pb.GetReservationRequest, context: Context) -> Any:
        (pem,) = context.auth_context()["x509_pem_cert"]
        self.shown.append(x509.load_pem_x509_certificate(pem).serial_number)
        self.asked.set()
        await self.answer.wait()
        return pb.GetReservationResponse(reservation=pb.Reservation(reservation_id=request.reservation_id))


@pytest.fixture
def wallet(tmp_path: Path) -> Wallet:
    return Wallet(tmp_path)


async def test_a_new_certificate_is_shown_and_a_call_under_way_ends(wallet: Wallet) -> None:
    server, inventory = grpc.aio.server(), Reservations()
    inventory_pb2_grpc.add_InventoryServiceServicer_to_server(inventory, server)
    address = (
        f"127.0.0.1:{server.add_secure_port('127.0.0.1:0', wallet.certificates('inventory').for_servers())}"
    )
    await server.start()
    own = wallet.certificates("delivery")
    gateway = InventoryGateway(open_channel(address, own.current()))
    renewal = channel_renewal(gateway, address, own, own.current())
    renewing = asyncio.create_task(renewal.run())
    try:
        await gateway.hold("R1")
        first = wallet.serial("delivery")
        inventory.asked.clear()
        inventory.answer.clear()
        slow = asyncio.create_task(gateway.hold("R2"))
        await inventory.asked.wait()

        before = gateway.channel
        wallet.issue("delivery")
        renewal.nudge()
        await until(lambda: gateway.channel is not before)
        inventory.answer.set()
        hold = await slow
        await gateway.hold("R3")

        assert hold is not None and hold.reservation_id == "R2"
        assert inventory.shown == [first, first, wallet.serial("delivery")]
    finally:
        renewal.stop()
        await renewing
        await gateway.close()
        await server.stop(None)


async def test_what_inventory_was_not_told_to_allow_is_tried_later_and_so_is_what_comes_too_often(
    wallet: Wallet, tmp_path: Path
) -> None:
    callers = tmp_path / "callers.toml"
    callers.write_text(
        '[delivery]\nroles = ["system"]\n'
        '"holdfast.inventory.v1.InventoryService" = ["CommitReservation"]\n'
        "[relay]\ncalls_per_second = 0.01\n"
        '"holdfast.inventory.v1.InventoryService" = ["CommitReservation"]\n'
    )
    settings = Settings(
        database_url="postgresql+asyncpg://nobody@127.0.0.1:9/nothing",
        listen="127.0.0.1:0",
        tls_folder=str(wallet.issue("inventory")),
        tls_ca=str(wallet.ca),
        callers=str(callers),
        drain_pause_seconds=0,
    )
    server = Server(bootstrap.build(settings))
    address = f"127.0.0.1:{await server.start()}"
    try:
        allowed, forbidden = await told(address, wallet.pems("delivery"))
        actor, too_often = await told(address, wallet.pems("relay"))
    finally:
        await server.stop()

    assert "UNAVAILABLE" in allowed.error
    assert "delivery may not call /holdfast.inventory.v1.InventoryService/ReserveStock" in forbidden.error
    assert "relay may not act as system" in actor.error
    assert "RESOURCE_EXHAUSTED" in too_often.error and 90 < too_often.wait_seconds <= 100
    assert all(pause_seconds(0, too_often.wait_seconds) >= too_often.wait_seconds for _ in range(10))


async def told(address: str, shown: Pems) -> tuple[TryLater, TryLater]:
    """What inventory answers to a commit and a reserve, both to be tried later."""
    gateway = InventoryGateway(open_channel(address, shown))
    commit, reserve = await gateway.commit("R1", ""), await gateway.reserve("R1", {"TEA": 1}, "")
    await gateway.close()
    assert isinstance(commit, TryLater) and isinstance(reserve, TryLater), (commit, reserve)
    return commit, reserve


async def test_an_inventory_that_another_authority_signed_is_unreachable(
    wallet: Wallet, tmp_path: Path
) -> None:
    server = grpc.aio.server()
    stranger = Wallet(tmp_path / "other").certificates("inventory")
    port = server.add_secure_port("127.0.0.1:0", stranger.for_servers())
    await server.start()
    gateway = InventoryGateway(open_channel(f"127.0.0.1:{port}", wallet.pems("delivery")))
    with pytest.raises(InventoryUnreachable):
        await gateway.hold("R1")
    await gateway.close()
    await server.stop(None)
