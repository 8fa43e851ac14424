"""A town whose calls go to two replicas of each service, and whose packages have cameras."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
from holdfast.delivery.v1 import package_pb2 as pb
from holdfast.inventory.v1 import movement_pb2
from holdfast.ops.v1 import ops_pb2, ops_pb2_grpc

from devtools.journey import CLAIM, COMPLETE, PICK_UP, Step, deliver
from tests.support.services import Pair, ServiceProcess
from tests.support.town import Town
from tests.system.camera import Photographer

UNITS, SHELF = 3, 10
PATHS = {
    pb.WORKFLOW_MERCHANT_TO_WAREHOUSE: (
        "PENDING PREPARED WAREHOUSE_RECEIVED OUT_FOR_DELIVERY DELIVERED COMPLETED"
    ),
    pb.WORKFLOW_MERCHANT_TO_USER: "PENDING PREPARED DELIVERED COMPLETED",
    pb.WORKFLOW_DRIVER_TO_WAREHOUSE: (
        "PENDING PREPARED PICKED_UP AT_WAREHOUSE WAREHOUSE_RECEIVED OUT_FOR_DELIVERY DELIVERED COMPLETED"
    ),
    pb.WORKFLOW_DRIVER_TO_USER: "PENDING PREPARED PICKED_UP DELIVERED COMPLETED",
}
PREPARE_ONWARD = Step("PreparePackage", "warehouse", pb.EVIDENCE_KIND_PREPARATION)


class Replicas:
    """A town whose calls go to two replicas of each service in turn."""

    def __init__(self, town: Town, inventory: ServiceProcess, delivery: ServiceProcess) -> None:
        self.town = town
        self.inventory = inventory
        self.delivery = delivery
        self.photographer = Photographer(town.delivery_channel, town.parties)
        town.journey = self.photographer

    async def order(self) -> tuple[str, str]:
        """An order of a few units of a sku of its own; answers both."""
        sku = await self.town.insist(self.town.stock, SHELF)
        return await self.town.insist(self.town.order, {sku: UNITS}), sku

    async def pack(self, workflow: pb.Workflow.ValueType, order_id: str, **fields: Any) -> pb.Package:
        """A package of the order, its stock held where a hold is kept."""
        request = self.town.package_request(workflow, order_id)
        request.MergeFrom(pb.CreatePackageRequest(**fields))
        package = await self.town.insist(self.town.create, request)
        settled = pb.STOCK_STATE_NOT_TRACKED if request.leg else pb.STOCK_STATE_HELD
        return await self.town.stock_state(package.package_sn, settled)

    async def travel(self, workflow: pb.Workflow.ValueType) -> str:
        """A package goes its whole way; answers its sku."""
        order_id, sku = await self.order()
        package = await self.pack(workflow, order_id)
        assert await self.town.insist(self.town.levels, sku) == (SHELF, UNITS)
        await self.town.drive(package)
        assert await self.town.insist(self.town.path, package.package_sn) == PATHS[workflow].split()
        await self.town.stock_state(package.package_sn, pb.STOCK_STATE_COMMITTED)
        return sku

    async def travel_on(self) -> str:
        """A package reaches the warehouse, a second leg takes its goods on, both are closed; answers the sku."""
        town = self.town
        order_id, sku = await self.order()
        first = await self.pack(pb.WORKFLOW_MERCHANT_TO_WAREHOUSE, order_id)
        await town.drive(first, until="ReceivePackage")
        second = await self.pack(
            pb.WORKFLOW_DRIVER_TO_USER, order_id, leg=1, warehouse_id=town.parties.warehouse_id
        )
        for step in (PREPARE_ONWARD, CLAIM, PICK_UP, deliver("driver"), COMPLETE):
            await town.insist(town.take, second.package_sn, step)
        done = await town.insist(town.take, first.package_sn, COMPLETE)
        assert done.state == pb.PACKAGE_STATE_COMPLETED
        await town.stock_state(first.package_sn, pb.STOCK_STATE_COMMITTED)
        return sku

    async def cancel(self) -> str:
        """A prepared package is cancelled; answers its sku."""
        order_id, sku = await self.order()
        package = await self.pack(pb.WORKFLOW_DRIVER_TO_USER, order_id)
        await self.town.drive(package, until="PreparePackage")
        await self.town.insist(self.town.cancel, package.package_sn)
        await self.town.stock_state(package.package_sn, pb.STOCK_STATE_RELEASED)
        return sku

    async def kill_in_the_midst(self) -> None:
        """Kills a replica of delivery, and then one of inventory, while packages travel."""
        for victim, photos in ((self.delivery, 6), (self.inventory, 12)):
            await self.photographer.has_taken(photos)
            assert _calls(victim), "a replica had nothing to do before it was killed"
            await victim.kill()

    async def movements(self, sku: str) -> Counter[str]:
        """How often each reason moved the stock."""
        request = movement_pb2.ListMovementsRequest(sku=sku, page_size=100)
        found = (await self.town.inventory.ListMovements(request, timeout=10)).movements
        return Counter(movement_pb2.MovementReason.Name(movement.reason) for movement in found)


@asynccontextmanager
async def replicas(pair: Pair) -> AsyncIterator[Replicas]:
    """One more replica of each service; the new delivery asks the new inventory."""
    inventory = pair.another_inventory()
    delivery = pair.another_delivery(inventory.address)
    await asyncio.gather(pair.start(), inventory.start(), delivery.start())
    town = Town(pair, inventory, delivery)
    for channel in (town.inventory_channel, town.delivery_channel):
        await _both_answer(channel)
    await town.found()
    yield Replicas(town, inventory, delivery)
    await town.close()


async def _both_answer(channel: grpc.aio.Channel) -> None:
    """Waits until the channel has reached both replicas; then it gives them its calls in turn."""
    stub = ops_pb2_grpc.OpsServiceStub(channel)
    instances: set[str] = set()
    async with asyncio.timeout(30):
        while len(instances) < 2:
            reply = await stub.GetServerInfo(ops_pb2.GetServerInfoRequest(), timeout=10)
            instances.add(reply.instance)


def _calls(process: ServiceProcess) -> int:
    """How many calls of its service a process has answered."""
    return process.log.read_text().count(f"holdfast.{process.service}.v1")
