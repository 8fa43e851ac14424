"""Orders, stock and people for system tests, and a look at what became of them. Ids never repeat in a run."""

import asyncio
import itertools
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import ParamSpec, TypeVar

import grpc
from holdfast.delivery.v1 import delivery_pb2_grpc, directory_pb2, order_pb2, package_pb2
from holdfast.inventory.v1 import inventory_pb2_grpc, reservation_pb2, stock_pb2
from holdfast.ops.v1 import ops_pb2, ops_pb2_grpc

from devtools.journey import STEPS, WAREHOUSE_WORKFLOWS, Journey, Parties, Step
from tests.support.services import Pair, ServiceProcess

P = ParamSpec("P")
T = TypeVar("T")
ids = itertools.count(random.randrange(10**9, 10**12))
UNKNOWN_OUTCOMES = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.ABORTED,
}
TO_BE_REPEATED = UNKNOWN_OUTCOMES | {grpc.StatusCode.RESOURCE_EXHAUSTED}
"""With the last one nothing was done, for want of room."""
SYSTEM = (("actor-role", "system"), ("actor-id", "tests"))


class Town:
    """What tests need around one pair of services, and further replicas of them."""

    def __init__(self, pair: Pair, *replicas: ServiceProcess) -> None:
        self.pair = pair
        inventories = [process for process in replicas if process.service == "inventory"]
        deliveries = [process for process in replicas if process.service == "delivery"]
        self.inventory_channel = pair.channel(pair.inventory, *inventories)
        self.delivery_channel = pair.channel(pair.delivery, *deliveries)
        self.inventory = inventory_pb2_grpc.InventoryServiceStub(self.inventory_channel)
        self.delivery = delivery_pb2_grpc.DeliveryServiceStub(self.delivery_channel)
        self.parties = Parties(str(next(ids)), str(next(ids)), str(next(ids)))
        self.journey = Journey(self.delivery_channel, self.parties)
        self.repeated = 0
        """How many calls were made again because their outcome was not known."""

    async def found(self) -> None:
        """Registers the warehouse and the driver."""
        warehouse_id, driver_id = self.parties.warehouse_id, self.parties.driver_id
        await self.delivery.RegisterWarehouse(
            directory_pb2.RegisterWarehouseRequest(
                warehouse_id=warehouse_id, code=f"W{warehouse_id}", name="North", address="1 Quay Street"
            ),
            metadata=SYSTEM,
            timeout=10,
        )
        await self.delivery.RegisterDriver(
            directory_pb2.RegisterDriverRequest(driver_id=driver_id, name="Driver", phone=f"+{driver_id}"),
            metadata=SYSTEM,
            timeout=10,
        )

    async def close(self) -> None:
        """Closes the channels."""
        await self.inventory_channel.close()
        await self.delivery_channel.close()

    async def stock(self, quantity: int, sku: str = "") -> str:
        """A new stock; answers its sku."""
        sku = sku or f"SKU-{next(ids)}"
        await self.inventory.CreateStock(
            stock_pb2.CreateStockRequest(sku=sku, quantity=quantity), metadata=SYSTEM, timeout=10
        )
        return sku

    async def levels(self, sku: str) -> tuple[int, int]:
        """Quantity and reserved quantity of a stock."""
        reply = await self.inventory.GetStock(stock_pb2.GetStockRequest(sku=sku), timeout=10)
        return reply.stock.quantity, reply.stock.reserved_quantity

    async def order(self, items: Mapping[str, int], order_id: str = "") -> str:
        """A paid order of these units by sku; answers its order_id."""
        order_id = order_id or str(next(ids))
        request = order_pb2.RegisterOrderRequest(
            order_id=order_id,
            order_sn=f"ON{order_id}",
            user_id="1",
            shop_id=self.parties.shop_id,
            status=order_pb2.ORDER_STATUS_PENDING_SHIPMENT,
            items=[
                # The same again when the call is repeated.
                order_pb2.OrderItem(order_item_id=f"{order_id}{number}", sku=sku, quantity=quantity)
                for number, (sku, quantity) in enumerate(items.items())
            ],
        )
        await self.delivery.RegisterOrder(request, metadata=SYSTEM, timeout=10)
        return order_id

    def package_request(
        self, workflow: package_pb2.Workflow.ValueType, *order_ids: str, package_sn: str = ""
    ) -> package_pb2.CreatePackageRequest:
        """A request for a package of these orders, under an id that can be repeated."""
        return package_pb2.CreatePackageRequest(
            package_sn=package_sn or f"PG{next(ids)}",
            workflow=workflow,
            shop_id=self.parties.shop_id,
            order_ids=order_ids,
            warehouse_id=self.parties.warehouse_id if workflow in WAREHOUSE_WORKFLOWS else "",
        )

    async def create(self, request: package_pb2.CreatePackageRequest) -> package_pb2.Package:
        """Creates the package."""
        merchant = self.parties.metadata("merchant")
        return (await self.delivery.CreatePackage(request, metadata=merchant, timeout=10)).package

    async def package_of(
        self, workflow: package_pb2.Workflow.ValueType, items: Mapping[str, int]
    ) -> package_pb2.Package:
        """A package of one new order."""
        return await self.create(self.package_request(workflow, await self.order(items)))

    async def get(self, package_sn: str) -> package_pb2.Package:
        """The package as it is now."""
        request = package_pb2.GetPackageRequest(package_sn=package_sn)
        return (await self.delivery.GetPackage(request, timeout=10)).package

    async def drive(self, package: package_pb2.Package, *, until: str = "") -> package_pb2.Package:
        """Takes the package through its steps, up to and with the method `until`; each step is retried."""
        for step in STEPS[package.workflow]:
            package = await self.insist(self.take, package.package_sn, step)
            if step.method == until:
                break
        return package

    async def take(self, package_sn: str, step: Step) -> package_pb2.Package:
        """One step."""
        return await self.journey.take(package_sn, step)

    async def cancel(self, package_sn: str) -> package_pb2.Package:
        """The merchant cancels."""
        request = package_pb2.CancelPackageRequest(
            package_sn=package_sn, reason="changed their mind", request_id=f"{package_sn}:cancel"
        )
        merchant = self.parties.metadata("merchant")
        return (await self.delivery.CancelPackage(request, metadata=merchant, timeout=10)).package

    async def reserve(self, reservation_id: str, sku: str) -> None:
        """ReserveStock of one unit."""
        request = reservation_pb2.ReserveStockRequest(
            reservation_id=reservation_id,
            holder="tests",
            lines=[reservation_pb2.ReservationLine(sku=sku, quantity=1)],
        )
        await self.inventory.ReserveStock(request, metadata=SYSTEM, timeout=10)

    async def insist(self, call: Callable[P, Awaitable[T]], *args: P.args, **options: P.kwargs) -> T:
        """Repeats a call whose outcome is not known, or for which there was no room, for a minute."""
        deadline = time.monotonic() + 60
        while True:
            try:
                return await call(*args, **options)
            except grpc.aio.AioRpcError as error:
                if error.code() not in TO_BE_REPEATED or time.monotonic() > deadline:
                    raise
                self.repeated += 1
                await asyncio.sleep(0.1)

    async def stock_state(
        self, package_sn: str, *wanted: package_pb2.StockState.ValueType, seconds: float = 60.0
    ) -> package_pb2.Package:
        """Waits until the package's stock is in one of these states."""
        deadline = time.monotonic() + seconds
        while True:
            package = await self.insist(self.get, package_sn)
            if package.stock_state in wanted:
                return package
            if time.monotonic() > deadline:
                name = package_pb2.StockState.Name(package.stock_state)
                raise AssertionError(f"{package_sn} stays {name}")
            await asyncio.sleep(0.05)

    async def reservation(self, reservation_id: str) -> reservation_pb2.Reservation:
        """A reservation as it is now."""
        request = reservation_pb2.GetReservationRequest(reservation_id=reservation_id)
        return (await self.inventory.GetReservation(request, timeout=10)).reservation

    async def path(self, package_sn: str) -> list[str]:
        """The states that the timeline tells, oldest first."""
        request = package_pb2.ListPackageEventsRequest(package_sn=package_sn, page_size=100)
        events = (await self.delivery.ListPackageEvents(request, timeout=10)).events
        states = [package_pb2.PackageState.Name(event.to_state) for event in events]
        return [
            state.removeprefix("PACKAGE_STATE_")
            for state, before in zip(states, ["", *states], strict=False)
            if state != before
        ]

    async def reconcile(
        self, channel: grpc.aio.Channel, *checks: str, validate_only: bool = False, request_id: str = ""
    ) -> list[ops_pb2.ReconcileResponse]:
        """What the dispatcher is told by Reconcile of one service."""
        request = ops_pb2.ReconcileRequest(checks=checks, validate_only=validate_only, request_id=request_id)
        dispatcher = self.parties.metadata("dispatcher")
        answers = ops_pb2_grpc.OpsServiceStub(channel).Reconcile(request, metadata=dispatcher, timeout=300)
        return [answer async for answer in answers]

    async def findings(self) -> list[str]:
        """What the consistency checks of both services find, once delivery can ask an inventory that came back."""
        for _ in range(100):
            found = [*await findings(self.inventory_channel), *await findings(self.delivery_channel)]
            if not any("could not be asked" in finding for finding in found):
                break
            await asyncio.sleep(0.1)
        return found


async def findings(channel: grpc.aio.Channel) -> list[str]:
    """What one service's CheckConsistency finds."""
    stub = ops_pb2_grpc.OpsServiceStub(channel)
    replies = stub.CheckConsistency(ops_pb2.CheckConsistencyRequest(), timeout=600, wait_for_ready=True)
    return [
        f"{reply.finding.check} {reply.finding.subject}: {reply.finding.description}"
        async for reply in replies
    ]
