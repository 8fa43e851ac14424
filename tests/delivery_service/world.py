"""Two real delivery servers on one database for histories that are predicted, and what anybody reads there."""

import asyncio
import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import grpc
from holdfast.delivery.v1 import directory_pb2, order_pb2
from holdfast.delivery.v1 import package_pb2 as pb
from sqlalchemy import delete, func, select, text, update

from delivery_service import bootstrap
from delivery_service.persistence.tables import metadata, orders, outbox, packages
from delivery_service.rpc import package_methods
from delivery_service.settings import Settings
from devtools.journey import photo
from servicekit.persistence.engines import create_engine
from servicekit.process.server import Server
from servicekit.schema.migrations import Schema
from tests.delivery_service import records
from tests.delivery_service.client import SYSTEM, Delivery, Metadata, actor, eventually, refused
from tests.delivery_service.fake_inventory import FakeInventory
from tests.delivery_service.model import Call, Event, Parcel, Photo
from tests.delivery_service.records import Facts, Records, word
from tests.support.databases import fresh_database

METHODS = {
    "PREPARE": "PreparePackage",
    "CLAIM": "ClaimPackage",
    "RELEASE_CLAIM": "ReleaseClaim",
    "ASSIGN_DRIVER": "AssignDriver",
    "PICK_UP": "PickUpPackage",
    "ARRIVE": "ArriveAtWarehouse",
    "RECEIVE": "ReceivePackage",
    "SHIP": "ShipPackage",
    "DELIVER": "DeliverPackage",
    "COMPLETE": "CompletePackage",
    "CANCEL": "CancelPackage",
    "RETRY_RESERVATION": "RetryReservation",
}


class World:
    """The servers, their inventory and their photos. Their loop runs only while a step waits for it."""

    def __init__(self, runner: asyncio.Runner, stack: AsyncExitStack, engine: str, photos: Path) -> None:
        self.run = runner.run
        self.inventory = FakeInventory()
        self.servers = runner.run(self._two_servers(stack, engine, photos))
        self._evidence_ids: dict[Photo, str] = {}

    async def empty(self) -> None:
        """Nothing is left but the warehouse, two drivers and one who is not active."""
        self.inventory.empty()
        self.inventory.stock.update({"A": 1000, "EMPTY": 0})
        self._evidence_ids = {}
        async with self.servers[0].engine.begin() as connection:
            for table in reversed(metadata.sorted_tables):
                if table.name != packages.name:
                    await connection.execute(delete(table))
            await connection.execute(delete(packages))
        await self.servers[0].people()
        await self.servers[0].driver("6")
        await self.servers[0].driver("9", active=False)

    async def register(self, order_id: str, sku: str, status: str = "PENDING_SHIPMENT") -> None:
        """RegisterOrder of two units."""
        stated = order_pb2.OrderStatus.Value(f"ORDER_STATUS_{status}")
        await self.servers[0].order({sku: 2}, order_id, status=stated)

    async def create(self, parcel: Parcel, role: str, actor_id: str) -> str:
        """CreatePackage; OK, or why not."""
        created = self.servers[0].create(
            parcel.workflow,
            [parcel.order_id],
            by=_metadata(role, actor_id),
            package_sn=parcel.package_sn,
            leg=parcel.leg,
        )
        try:
            await created
        except grpc.aio.AioRpcError as error:
            return (await refused(_raised(error))).reason
        return "OK"

    async def perform(self, call: Call, request_id: str, server: int = 0) -> tuple[str, str]:
        """OK and the package's state, or why not and nothing."""
        try:
            reply = await self._send(call, request_id, server)
        except grpc.aio.AioRpcError as error:
            return (await refused(_raised(error))).reason, ""
        return "OK", word(pb.PackageState, reply.package.state)

    async def at_once(self, calls: Sequence[Call]) -> list[str]:
        """What came of calls at the same time, each on its own server."""
        for call in calls:
            await self._shown(call)
        done = await asyncio.gather(*(self.perform(call, "", n) for n, call in enumerate(calls)))
        return [reason for reason, _ in done]

    async def replay(self, call: Call, request_id: str) -> None:
        """The same request again has the first answer; with another etag, which every verb has, it is refused."""
        sent = self._send(call, request_id, 0), self._send(call, request_id, 1)
        first, second = [await reply for reply in sent]
        assert first == second
        reason, _ = await self.perform(dataclasses.replace(call, version=call.version + 1), request_id)
        assert reason == "REQUEST_ID_REUSED"

    async def cancel_order(self, order_id: str, sku: str, *, by_update: bool) -> None:
        """By the old application, or by the order system."""
        if not by_update:
            await self.register(order_id, sku, "CANCELLED")
            return
        async with self.servers[0].engine.begin() as connection:
            await connection.execute(
                update(orders).where(orders.c.id == int(order_id)).values(order_status=4)
            )

    async def set_active(self, driver_id: str, active: bool) -> None:
        """SetDriverActive."""
        request = directory_pb2.SetDriverActiveRequest(driver_id=driver_id, active=active)
        await self.servers[0].stub.SetDriverActive(request, timeout=10)

    async def allowed(self, package_sn: str, role: str, actor_id: str) -> set[str]:
        """The verbs that ListAllowedTransitions allows."""
        request = pb.ListAllowedTransitionsRequest(package_sn=package_sn)
        reply = await self.servers[1].stub.ListAllowedTransitions(
            request, metadata=_metadata(role, actor_id), timeout=10
        )
        return {word(pb.Verb, each.verb) for each in reply.transitions if each.allowed}

    async def quiet(self) -> None:
        """Inventory has been told everything."""
        await self.servers[0].quiet()

    async def inventory_is_back(self) -> None:
        """It answers again, and nobody waits longer to ask it."""
        self.inventory.down = False
        engine = self.servers[0].engine

        async def nobody_asks() -> bool:
            asking = select(func.count()).select_from(outbox).where(outbox.c.state == 1)
            async with engine.connect() as connection:
                return (await connection.execute(asking)).scalar_one() == 0

        await eventually(nobody_asks)
        async with engine.begin() as connection:
            await connection.execute(
                text("UPDATE outbox SET next_attempt_time = '2001-01-01' WHERE state = 0")
            )
        await self.quiet()

    async def stored(self, order_id: str) -> Records:
        """What the tables have of an order."""
        return await records.stored(self.servers[0], order_id, self._photos())

    async def read(self, order_id: str) -> tuple[dict[str, Facts], dict[str, list[Event]]]:
        """What callers read of an order."""
        return await records.read(self.servers[1], order_id, self._photos())

    def shelf(self, sku: str) -> tuple[int, int]:
        """Units there, and of them held."""
        return self.inventory.stock[sku], self.inventory.held(sku)

    def _photos(self) -> dict[str, Photo]:
        return {evidence_id: shown for shown, evidence_id in self._evidence_ids.items()}

    async def _send(self, call: Call, request_id: str, server: int) -> Any:
        method = METHODS[call.verb]
        fields: dict[str, Any] = {"package_sn": call.package_sn, "request_id": request_id}
        fields["etag"] = f"v{call.version}" if call.version else ""
        if call.verb != "RETRY_RESERVATION":
            fields["evidence_ids"] = await self._shown(call)
            fields["reason" if call.verb == "CANCEL" else "note"] = "as drawn"
        if call.verb == "ASSIGN_DRIVER":
            fields["driver_id"] = call.driver_id
        stub_method = getattr(self.servers[server].stub, method)
        request = getattr(pb, f"{method}Request")(**fields)
        return await stub_method(request, metadata=_metadata(call.role, call.actor_id), timeout=10)

    async def _shown(self, call: Call) -> list[str]:
        """The ids of the call's photos, which are uploaded where they were not yet."""
        for shown in call.photos:
            if shown not in self._evidence_ids:
                self._evidence_ids[shown] = await self._uploaded(shown)
        return [self._evidence_ids[shown] for shown in call.photos]

    async def _uploaded(self, shown: Photo) -> str:
        if not shown.package_sn:
            return f"no-{len(self._evidence_ids)}"
        kept = await self.servers[0].upload(shown.package_sn, shown.kind, photo(shown.content), by=SYSTEM)
        return kept.evidence_id

    async def _two_servers(self, stack: AsyncExitStack, engine: str, photos: Path) -> list[Delivery]:
        url = await stack.enter_async_context(fresh_database(engine))
        tests = create_engine(url, pool_size=2, for_migrations=True)
        stack.push_async_callback(tests.dispose)
        await Schema("delivery").upgrade(tests)
        servers = []
        for _ in range(2):
            settings = Settings(
                database_url=url,
                inventory_address="unused",
                evidence_url=str(photos),
                listen="127.0.0.1:0",
                relay_seconds=0.05,
                legacy_follow_seconds=0,
                drain_pause_seconds=0,
            )
            server = Server(bootstrap.assemble(settings, create_engine(url), self.inventory))
            address = f"127.0.0.1:{await server.start()}"
            stack.push_async_callback(server.stop)
            channel = await stack.enter_async_context(grpc.aio.insecure_channel(address))
            servers.append(Delivery(channel, tests, self.inventory))
        return servers


@contextmanager
def a_world(engine: str, photos: Path) -> Iterator[World]:
    """Such servers, until the end; a caller does not wait long for an inventory that is down, or time would go by."""
    with (
        patch.object(package_methods, "LONGEST_WAIT_SECONDS", 0.2),
        asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner,
    ):
        stack = AsyncExitStack()
        try:
            yield World(runner, stack, engine, photos)
        finally:
            runner.run(stack.aclose())


def _metadata(role: str, actor_id: str) -> Metadata:
    return actor(role.lower(), actor_id)


async def _raised(error: grpc.aio.AioRpcError) -> None:
    raise error
