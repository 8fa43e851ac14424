"""What callers of delivery do, over one channel."""

import asyncio
import random
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from holdfast.delivery.v1 import delivery_pb2_grpc, order_pb2, package_pb2

from benchmarks.bench.inventory_steps import Kind, Wish, channel_to
from benchmarks.bench.loops import Step

SECONDS = 10.0
LOOK_SECONDS = 0.05
SHOP = "1"
MERCHANT = (("actor-role", "merchant"), ("actor-id", SHOP))


@asynccontextmanager
async def create(wish: Wish) -> AsyncIterator[Step]:
    """A package of an order that nobody has packed, answered once its goods are held; so many at `most`."""
    async with channel_to(wish) as channel:
        stub = delivery_pb2_grpc.DeliveryServiceStub(channel)
        first = wish["first_order"]
        orders = iter(range(first, first + wish.get("most", sys.maxsize)))

        async def step(_: int) -> int:
            if (order := next(orders, None)) is None:
                return 0
            request = package_pb2.CreatePackageRequest(
                package_sn=f"PG{order}",
                workflow=package_pb2.WORKFLOW_MERCHANT_TO_USER,
                shop_id=SHOP,
                order_ids=[str(order)],
            )
            package = (await stub.CreatePackage(request, metadata=MERCHANT, timeout=SECONDS)).package
            while package.stock_state == package_pb2.STOCK_STATE_REQUESTED:
                # The answer came before inventory's, as it does after 2 s: a caller looks again.
                await asyncio.sleep(LOOK_SECONDS)
                look = package_pb2.GetPackageRequest(package_sn=package.package_sn)
                package = (await stub.GetPackage(look, metadata=MERCHANT, timeout=SECONDS)).package
            if package.stock_state != package_pb2.STOCK_STATE_HELD:
                raise RuntimeError(f"PG{order} is not held: {package.stock_state}")
            return 1

        yield step


@asynccontextmanager
async def move(wish: Wish) -> AsyncIterator[Step]:
    """A driver claims a package of his own and gives it back: two transitions."""
    async with channel_to(wish) as channel:
        stub = delivery_pb2_grpc.DeliveryServiceStub(channel)
        driver = (("actor-role", "driver"), ("actor-id", wish["driver_id"]))
        packages = wish["packages"]

        async def step(caller: int) -> int:
            number = packages[caller]
            claim = package_pb2.ClaimPackageRequest(package_sn=number)
            await stub.ClaimPackage(claim, metadata=driver, timeout=SECONDS)
            back = package_pb2.ReleaseClaimRequest(package_sn=number)
            await stub.ReleaseClaim(back, metadata=driver, timeout=SECONDS)
            return 2

        yield step


@asynccontextmanager
async def prepare(wish: Wish) -> AsyncIterator[Step]:
    """A package is prepared, which its photo proves."""
    async with channel_to(wish) as channel:
        stub, packages = delivery_pb2_grpc.DeliveryServiceStub(channel), iter(wish["packages"])

        async def step(_: int) -> int:
            if (number := next(packages, None)) is None:
                return 0
            photos = [wish["photos"][number]]
            request = package_pb2.PreparePackageRequest(package_sn=number, evidence_ids=photos)
            await stub.PreparePackage(request, metadata=MERCHANT, timeout=SECONDS)
            return 1

        yield step


@asynccontextmanager
async def cancel(wish: Wish) -> AsyncIterator[Step]:
    """A package is cancelled, whose hold delivery then has released."""
    async with channel_to(wish) as channel:
        stub, packages = delivery_pb2_grpc.DeliveryServiceStub(channel), iter(wish["packages"])

        async def step(_: int) -> int:
            if (number := next(packages, None)) is None:
                return 0
            request = package_pb2.CancelPackageRequest(package_sn=number, reason="bench")
            await stub.CancelPackage(request, metadata=MERCHANT, timeout=SECONDS)
            return 1

        yield step


@asynccontextmanager
async def look_up(wish: Wish) -> AsyncIterator[Step]:
    """How an order is delivered, by its id."""
    async with channel_to(wish) as channel:
        stub = delivery_pb2_grpc.DeliveryServiceStub(channel)
        dice = random.Random()

        async def step(_: int) -> int:
            order = str(dice.randrange(wish["orders"]) + 1)
            request = order_pb2.GetOrderDeliveryTypeRequest(order_id=order)
            reply = await stub.GetOrderDeliveryType(request, metadata=MERCHANT, timeout=SECONDS)
            if [package.package_sn for package in reply.packages] != [f"PG{order}"]:
                raise RuntimeError(f"order {order} is answered with {reply}")
            return 1

        yield step


KINDS: Mapping[str, Kind] = {
    "create": create,
    "move": move,
    "prepare": prepare,
    "cancel": cancel,
    "look-up": look_up,
}
