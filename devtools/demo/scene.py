"""What all acts share: the two services, the parties and a few everyday calls."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import grpc
from holdfast.delivery.v1 import delivery_pb2_grpc, order_pb2, package_pb2
from holdfast.inventory.v1 import inventory_pb2_grpc, stock_pb2
from rich.console import Console, RenderableType
from rich.padding import Padding

from devtools.journey import WAREHOUSE_WORKFLOWS, Journey, Parties
from devtools.stack.stack import Addresses

CALL_SECONDS = 10.0
SETTLE_SECONDS = 20.0


class Scene:
    """A running pair of services with a merchant, a warehouse, a driver and products of this run alone."""

    def __init__(self, addresses: Addresses, console: Console) -> None:
        self.console = console
        self.delivery_channel = grpc.aio.insecure_channel(addresses.delivery)
        self.inventory_channel = grpc.aio.insecure_channel(addresses.inventory)
        self.delivery = delivery_pb2_grpc.DeliveryServiceStub(self.delivery_channel)
        self.inventory = inventory_pb2_grpc.InventoryServiceStub(self.inventory_channel)
        # On databases of the user's own an earlier run may have left its ids behind.
        self._last_id = time.time_ns() // 1_000_000
        self.run = f"{self._last_id % 36**4:X}"
        self.parties = Parties(self.new_id(), self.new_id(), self.new_id())
        self.journey = Journey(self.delivery_channel, self.parties)

    def act(self, title: str) -> None:
        """Opens an act."""
        self.console.print()
        self.console.rule(f"[bold]{title}", align="left")

    def tell(self, text: str) -> None:
        """Says what happens, in lines that stay indented."""
        self.show(Padding(text, (0, 0, 0, 2), expand=False))

    def show(self, picture: RenderableType) -> None:
        """Prints anything; what goes to a file carries no blanks at the ends of its lines."""
        if self.console.is_terminal:
            self.console.print(picture)
            return
        with self.console.capture() as printed:
            self.console.print(picture)
        for line in printed.get().splitlines():
            self.console.out(line.rstrip())

    def new_id(self) -> str:
        """An id that nobody else uses."""
        self._last_id += 1
        return str(self._last_id)

    async def order(self, items: Mapping[str, int]) -> str:
        """Registers a paid order of some units by sku; returns its id."""
        order_id = self.new_id()
        request = order_pb2.RegisterOrderRequest(
            order_id=order_id,
            user_id="1",
            shop_id=self.parties.shop_id,
            items=[order_pb2.OrderItem(sku=sku, quantity=quantity) for sku, quantity in items.items()],
            receiver=order_pb2.Receiver(city="Harbour", address="1 Quay Street"),
            request_id=f"order-{order_id}",
        )
        await self.delivery.RegisterOrder(
            request, metadata=self.parties.metadata("system"), timeout=CALL_SECONDS
        )
        return order_id

    async def pack(
        self, workflow: package_pb2.Workflow.ValueType, items: Mapping[str, int]
    ) -> package_pb2.Package:
        """Creates a package of one new order; its stock is held or refused by then."""
        order_id = await self.order(items)
        request = package_pb2.CreatePackageRequest(
            workflow=workflow,
            shop_id=self.parties.shop_id,
            order_ids=[order_id],
            warehouse_id=self.parties.warehouse_id if workflow in WAREHOUSE_WORKFLOWS else "",
            request_id=f"pack-{order_id}",
        )
        reply = await self.delivery.CreatePackage(
            request, metadata=self.parties.metadata("merchant"), timeout=CALL_SECONDS
        )
        settled = (package_pb2.STOCK_STATE_HELD, package_pb2.STOCK_STATE_REJECTED)
        return await self.settled(reply.package.package_sn, *settled)

    async def settled(
        self, package_sn: str, *states: package_pb2.StockState.ValueType
    ) -> package_pb2.Package:
        """Waits until inventory has answered for a package. Raises TimeoutError when it does not."""
        async with asyncio.timeout(SETTLE_SECONDS):
            while True:
                request = package_pb2.GetPackageRequest(package_sn=package_sn)
                package = (await self.delivery.GetPackage(request, timeout=CALL_SECONDS)).package
                if package.stock_state in states:
                    return package
                await asyncio.sleep(0.05)

    async def level(self, sku: str) -> "Level":
        """What the shelf holds of a sku now."""
        reply = await self.inventory.GetStock(stock_pb2.GetStockRequest(sku=sku), timeout=CALL_SECONDS)
        return Level(reply.stock.quantity, reply.stock.reserved_quantity)

    async def close(self) -> None:
        """Closes both channels."""
        await self.delivery_channel.close()
        await self.inventory_channel.close()


@dataclass(frozen=True)
class Level:
    """Units of one sku: on the shelf, and of them held."""

    quantity: int
    reserved: int

    @property
    def free(self) -> int:
        """Units that anybody may still ask for."""
        return self.quantity - self.reserved


@dataclass
class Verdict:
    """What did not go as promised; empty is good."""

    complaints: list[str] = field(default_factory=list)

    def expect(self, promise: str, seen: object, wanted: object) -> None:
        """Notes a promise that was not kept."""
        if seen != wanted:
            self.complaints.append(f"{promise}: expected {wanted}, saw {seen}")
