"""A caller of the delivery service in short words, and its rows as the database has them."""

import asyncio
import itertools
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

import grpc
from holdfast.delivery.v1 import (
    delivery_pb2_grpc,
    directory_pb2,
    evidence_pb2,
    order_pb2,
)
from holdfast.delivery.v1 import package_pb2 as pb
from holdfast.ops.v1 import ops_pb2, ops_pb2_grpc
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from delivery_service.persistence.tables import metadata, outbox
from devtools.journey import STEPS, Journey, Parties, Step, photo, upload_messages
from tests.delivery_service.fake_inventory import FakeInventory
from tests.support import refusals
from tests.support.refusals import Refused

Metadata = tuple[tuple[str, str], ...]

SHOP_ID, WAREHOUSE_ID, DRIVER_ID = "7", "3", "5"
ids = itertools.count(random.randrange(10**9, 10**10))
refused = partial(refusals.refused, domain="delivery.holdfast")


def actor(role: str, actor_id: str | int) -> Metadata:
    """Call metadata."""
    return (("actor-role", role), ("actor-id", str(actor_id)))


MERCHANT, WAREHOUSE, DRIVER = actor("merchant", SHOP_ID), actor("warehouse", WAREHOUSE_ID), actor("driver", 5)
DISPATCHER, SYSTEM = actor("dispatcher", "control"), actor("system", "tests")


class Delivery:
    """The service, called as the shop unless said otherwise, over a fake inventory."""

    def __init__(self, channel: grpc.aio.Channel, engine: AsyncEngine, inventory: FakeInventory) -> None:
        self.stub = delivery_pb2_grpc.DeliveryServiceStub(channel)
        self.ops = ops_pb2_grpc.OpsServiceStub(channel)
        self.journey = Journey(channel, Parties(SHOP_ID, WAREHOUSE_ID, DRIVER_ID))
        self.engine = engine
        self.inventory = inventory

    async def people(self) -> None:
        """Registers the warehouse and the driver that the constants name."""
        await self.stub.RegisterWarehouse(
            directory_pb2.RegisterWarehouseRequest(warehouse_id=WAREHOUSE_ID, code="N", name="North"),
            timeout=10,
        )
        await self.driver(DRIVER_ID)

    async def driver(self, driver_id: str | int, *, active: bool = True) -> None:
        """Registers a driver."""
        request = directory_pb2.RegisterDriverRequest(
            driver_id=str(driver_id), name="Driver", phone=f"+{driver_id}"
        )
        await self.stub.RegisterDriver(request, timeout=10)
        if not active:
            await self.stub.SetDriverActive(
                directory_pb2.SetDriverActiveRequest(driver_id=str(driver_id)), timeout=10
            )

    async def order(self, items: Mapping[str, int], order_id: str | int = "", **fields: Any) -> str:
        """RegisterOrder of these units by sku; stock is put on the shelf for skus not there yet."""
        order_id = str(order_id or next(ids))
        for sku in items:
            self.inventory.stock.setdefault(sku, 100)
        given: dict[str, Any] = {"user_id": "1", "shop_id": SHOP_ID} | fields
        request = order_pb2.RegisterOrderRequest(
            order_id=order_id,
            items=[order_pb2.OrderItem(sku=sku, quantity=quantity) for sku, quantity in items.items()],
            **given,
        )
        await self.stub.RegisterOrder(request, timeout=10)
        return order_id

    async def create(
        self,
        workflow: str,
        order_ids: Sequence[str] = (),
        *,
        by: Metadata = MERCHANT,
        seconds: float = 10,
        **fields: Any,
    ) -> pb.Package:
        """CreatePackage, by default of a new order of two units of A."""
        request = self.create_request(workflow, order_ids or [await self.order({"A": 2})], **fields)
        return (await self.stub.CreatePackage(request, metadata=by, timeout=seconds)).package

    def create_request(
        self, workflow: str, order_ids: Sequence[str], **fields: Any
    ) -> pb.CreatePackageRequest:
        """The request of `create`."""
        given: dict[str, Any] = {"shop_id": SHOP_ID, "warehouse_id": WAREHOUSE_ID} | fields
        return pb.CreatePackageRequest(
            workflow=pb.Workflow.Value(f"WORKFLOW_{workflow}"), order_ids=order_ids, **given
        )

    async def get(self, package_sn: str) -> pb.Package:
        """GetPackage."""
        return (await self.stub.GetPackage(pb.GetPackageRequest(package_sn=package_sn), timeout=10)).package

    async def upload(
        self,
        package_sn: str,
        kind: str,
        content: bytes | None = None,
        *,
        by: Metadata = MERCHANT,
        chunk: int = 65_536,
        **header: Any,
    ) -> evidence_pb2.Evidence:
        """UploadEvidence, by default of a photo that nobody has taken before."""
        first = evidence_pb2.EvidenceHeader(
            package_sn=package_sn, kind=pb.EvidenceKind.Value(f"EVIDENCE_KIND_{kind}"), **header
        )
        messages = upload_messages(first, photo(str(next(ids))) if content is None else content, chunk)
        return (await self.stub.UploadEvidence(messages, metadata=by, timeout=10)).evidence

    async def move(self, method: str, package_sn: str, *, by: Metadata, **fields: Any) -> pb.Package:
        """One verb by the name of its RPC."""
        request = getattr(pb, f"{method}Request")(package_sn=package_sn, **fields)
        call: Any = getattr(self.stub, method)
        package: pb.Package = (await call(request, metadata=by, timeout=10)).package
        return package

    async def take(self, package_sn: str, step: Step, **fields: Any) -> pb.Package:
        """One step of the way, with its photo."""
        return await self.journey.take(package_sn, step, **fields)

    async def drive(self, package: pb.Package, *, until: str = "") -> pb.Package:
        """The steps that are left of its way, up to and with the method `until`."""
        done = len([verb for verb in await self.events(package.package_sn) if verb != "CREATE"])
        for step in STEPS[package.workflow][done:]:
            package = await self.take(package.package_sn, step)
            if step.method == until:
                break
        return package

    async def download(self, evidence_id: str) -> bytes:
        """DownloadEvidence, all of it."""
        request = evidence_pb2.DownloadEvidenceRequest(evidence_id=evidence_id)
        return b"".join([part.chunk async for part in self.stub.DownloadEvidence(request, timeout=10)])

    async def stock_state(self, package_sn: str, wanted: str, seconds: float = 10) -> pb.Package:
        """Waits until the package's stock is in this state."""
        until = time.monotonic() + seconds
        while True:
            package = await self.get(package_sn)
            name = pb.StockState.Name(package.stock_state).removeprefix("STOCK_STATE_")
            if name == wanted:
                return package
            assert time.monotonic() < until, f"{package_sn} stays {name}"
            await asyncio.sleep(0.02)

    async def quiet(self, seconds: float = 10) -> None:
        """Waits until inventory has been told everything that can be told."""

        async def done() -> bool:
            async with self.engine.connect() as connection:
                left = await connection.execute(select(outbox.c.entry_id).where(outbox.c.state < 2))
                return left.first() is None

        await eventually(done, seconds)

    async def events(self, package_sn: str) -> list[str]:
        """The verbs of the timeline."""
        request = pb.ListPackageEventsRequest(package_sn=package_sn)
        reply = await self.stub.ListPackageEvents(request, timeout=10)
        return [pb.Verb.Name(event.verb).removeprefix("VERB_") for event in reply.events]

    async def findings(self, *checks: str) -> list[str]:
        """What CheckConsistency finds."""
        found = self.ops.CheckConsistency(ops_pb2.CheckConsistencyRequest(checks=checks), timeout=900)
        return [f"{answer.finding.subject}: {answer.finding.description}" async for answer in found]

    async def refused(self, call: Awaitable[object]) -> Refused:
        """The refusal of a call that must change nothing."""
        before = await self.everything()
        refusal = await refused(call)
        assert await self.everything() == before
        return refusal

    async def everything(self) -> dict[str, list[str]]:
        """All rows of all tables."""
        async with self.engine.connect() as connection:
            return {
                table.name: sorted(map(repr, (await connection.execute(select(table))).all()))
                for table in metadata.sorted_tables
            }


async def eventually(probe: Callable[[], Awaitable[bool]], seconds: float = 10) -> None:
    """Waits until the probe says so."""
    until = time.monotonic() + seconds
    while not await probe():
        assert time.monotonic() < until, "it did not come about"
        await asyncio.sleep(0.01)
