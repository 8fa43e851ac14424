"""Two real delivery servers on one database for histories that are predicted, and what anybody reads there."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from holdfast.delivery.v1 import directory_pb2, order_pb2
from holdfast.delivery.v1 import package_pb2 as pb
from sqlalchemy import delete, func, literal_column, select, text, update

from delivery_service import bootstrap
from delivery_service.persistence.tables import (
    evidence,
    metadata,
    order_actions,
    orders,
    outbox,
    package_events,
    package_orders,
    packages,
)
from delivery_service.settings import Settings
from devtools.journey import photo
from servicekit.engines import create_engine
from servicekit.migrations import Schema
from servicekit.server import Server
from tests.delivery_service.client import Delivery, Metadata, actor, eventually, refused
from tests.delivery_service.fake_inventory import FakeInventory
from tests.delivery_service.model import STATES, Call, Event, Model, Parcel, Photo
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
# As the tables number them.
STOCK_WORDS = [
    "NOT_TRACKED",
    "REQUESTED",
    "HELD",
    "REJECTED",
    "COMMIT_PENDING",
    "COMMITTED",
    "RELEASE_PENDING",
    "RELEASED",
]


@dataclass
class Records:
    """What is to be read about one order: by callers, and by old readers of the tables."""

    packages: dict[str, tuple[str, str, str, str]]
    timelines: dict[str, list[Event]]
    legs: dict[str, tuple[str, int | None]]
    order: tuple[int, int]
    actions: list[tuple[int, int, int]]
    proofs: set[str]
    """The photos that prove something, of all orders."""

    @classmethod
    def expected(cls, model: Model, order_id: str) -> "Records":
        """What the model has."""
        parcels = model.of_order(order_id)
        return cls(
            {p.package_sn: (p.state, p.stock, p.driver_id, f"v{p.version}") for p in parcels},
            {p.package_sn: p.events for p in parcels},
            {p.package_sn: (order_id, p.leg if p.active else None) for p in parcels},
            (model.order_status[order_id], model.shipping_status(order_id)),
            model.actions[order_id],
            model.used,
        )


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

    async def register(self, order_id: str, sku: str, status: int = 0) -> None:
        """RegisterOrder of two units."""
        stated = order_pb2.OrderStatus.Name(status).removeprefix("ORDER_STATUS_")
        status_field = {} if stated == "UNSPECIFIED" else {"status": status}
        await self.servers[0].order({sku: 2}, order_id, **status_field)

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

    async def perform(self, call: Call, request_id: str, server: int = 0, note: str = "") -> tuple[str, str]:
        """OK and the package's state, or why not and nothing."""
        try:
            reply = await self._send(call, request_id, server, note)
        except grpc.aio.AioRpcError as error:
            return (await refused(_raised(error))).reason, ""
        return "OK", _word(pb.PackageState, reply.package.state)

    async def at_once(self, calls: Sequence[Call]) -> list[str]:
        """What came of calls at the same time, each on its own server."""
        for call in calls:
            await self._shown(call)
        done = await asyncio.gather(*(self.perform(call, "", n) for n, call in enumerate(calls)))
        return [reason for reason, _ in done]

    async def replay(self, call: Call, request_id: str) -> None:
        """The same request again has the first answer; with other content it is refused."""
        sent = self._send(call, request_id, 0), self._send(call, request_id, 1)
        first, second = [await reply for reply in sent]
        assert first == second
        reason, _ = await self.perform(call, request_id, note="other")
        assert reason == "REQUEST_ID_REUSED"

    async def cancel_order(self, order_id: str, sku: str, *, by_update: bool) -> None:
        """By the old application, or by the order system."""
        if not by_update:
            await self.register(order_id, sku, order_pb2.ORDER_STATUS_CANCELLED)
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
        return {_word(pb.Verb, each.verb) for each in reply.transitions if each.allowed}

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

    def shelf(self, sku: str) -> tuple[int, int]:
        """Units there, and of them held."""
        return self.inventory.stock[sku], self.inventory.held(sku)

    async def records(self, order_id: str) -> Records:
        """What the tables have."""
        ours = select(package_orders.c.prepare_goods_id).where(package_orders.c.order_id == int(order_id))
        listed = literal_column("tigu_prepare_goods.order_ids").label("listed")
        rows = select(packages, listed, package_orders.c.active_leg).join(
            package_orders, package_orders.c.prepare_goods_id == packages.c.id
        )
        told = select(order_actions).where(order_actions.c.order_id == int(order_id))
        events = select(package_events).where(package_events.c.package_id.in_(ours))
        used = select(evidence.c.evidence_id).where(evidence.c.used_sha256.is_not(None))
        async with self.servers[0].engine.connect() as connection:
            found = (await connection.execute(rows.where(package_orders.c.order_id == int(order_id)))).all()
            order = (await connection.execute(select(orders).where(orders.c.id == int(order_id)))).one()
            actions = (await connection.execute(told.order_by(order_actions.c.id))).all()
            timeline = (await connection.execute(events.order_by(package_events.c.sequence))).all()
            proofs = set((await connection.execute(used)).scalars())
        names = {row.id: row.prepare_sn for row in found}
        timelines: dict[str, list[Event]] = {name: [] for name in names.values()}
        for row in timeline:
            timelines[names[row.package_id]].append(self._stored_event(row))
        return Records(
            {row.prepare_sn: _stored_package(row) for row in found},
            timelines,
            {row.prepare_sn: (row.listed, row.active_leg) for row in found},
            (order.order_status, order.shipping_status),
            [(row.action_type, row.order_status, row.shipping_status) for row in actions],
            {shown.content for shown, evidence_id in self._evidence_ids.items() if evidence_id in proofs},
        )

    async def read(
        self, order_id: str
    ) -> tuple[dict[str, tuple[str, str, str, str]], dict[str, list[Event]]]:
        """The order's packages and their timelines as callers read them."""
        request = order_pb2.ListOrderPackagesRequest(order_id=order_id, page_size=1000)
        found = (await self.servers[1].stub.ListOrderPackages(request, timeout=10)).packages
        timelines = {package.package_sn: await self._timeline(package.package_sn) for package in found}
        return {package.package_sn: _package(package) for package in found}, timelines

    async def _timeline(self, package_sn: str) -> list[Event]:
        request = pb.ListPackageEventsRequest(package_sn=package_sn, page_size=1000)
        reply = await self.servers[0].stub.ListPackageEvents(request, timeout=10)
        return [
            Event(
                _word(pb.Verb, event.verb),
                _word(pb.PackageState, event.from_state),
                _word(pb.PackageState, event.to_state),
                _word(pb.ActorRole, event.actor_role),
                event.actor_id,
                event.driver_id,
                self._photos(event.evidence_ids),
            )
            for event in reply.events
        ]

    def _stored_event(self, row: Any) -> Event:
        before = "UNSPECIFIED" if row.from_status is None else _state(row.from_status)
        by = row.actor_role, row.actor_id, str(row.driver_id or "")
        shown = self._photos(json.loads(row.evidence_ids))
        return Event(row.verb, before, _state(row.to_status), *by, shown)

    def _photos(self, evidence_ids: Sequence[str]) -> frozenset[Photo]:
        photos = {evidence_id: shown for shown, evidence_id in self._evidence_ids.items()}
        return frozenset(photos[evidence_id] for evidence_id in evidence_ids)

    async def _send(self, call: Call, request_id: str, server: int, note: str = "") -> Any:
        method = METHODS[call.verb]
        fields: dict[str, Any] = {"package_sn": call.package_sn, "request_id": request_id}
        fields["etag"] = f"v{call.version}" if call.version else ""
        if call.verb != "RETRY_RESERVATION":
            fields["evidence_ids"] = await self._shown(call)
            fields["reason" if call.verb == "CANCEL" else "note"] = note or "as drawn"
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
        kept = await self.servers[0].upload(shown.package_sn, shown.kind, photo(shown.content))
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
                drain_pause_seconds=0,
            )
            service = bootstrap.assemble(settings, create_engine(url), self.inventory)
            # CreatePackage shall not wait for an inventory that is down.
            service.wake_waiters()
            server = Server(service)
            address = f"127.0.0.1:{await server.start()}"
            stack.push_async_callback(server.stop)
            channel = await stack.enter_async_context(grpc.aio.insecure_channel(address))
            servers.append(Delivery(channel, tests, self.inventory))
        return servers


@contextmanager
def a_world(engine: str, photos: Path) -> Iterator[World]:
    """Such servers, until the end."""
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        stack = AsyncExitStack()
        try:
            yield World(runner, stack, engine, photos)
        finally:
            runner.run(stack.aclose())


def _package(package: pb.Package) -> tuple[str, str, str, str]:
    states = _word(pb.PackageState, package.state), _word(pb.StockState, package.stock_state)
    return (*states, package.driver_id, package.etag)


def _state(code: int) -> str:
    """The state that the tables store as its place on the longest path, less one."""
    return [*STATES, "CANCELLED"][code + 1]


def _stored_package(row: Any) -> tuple[str, str, str, str]:
    driver_id = str(row.driver_id or "")
    return (_state(row.prepare_status), STOCK_WORDS[row.stock_state], driver_id, f"v{row.version}")


def _metadata(role: str, actor_id: str) -> Metadata:
    return actor(role.lower(), actor_id)


def _word(enum: Any, value: int) -> str:
    """The value's name without its prefix."""
    prefix = enum.Name(0).removesuffix("UNSPECIFIED")
    name: str = enum.Name(value)
    return name.removeprefix(prefix)


async def _raised(error: grpc.aio.AioRpcError) -> None:
    raise error
