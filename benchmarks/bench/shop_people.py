"""What people of a shop do before a turn begins: they prepare packages to be claimed, and take photos."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from holdfast.delivery.v1 import directory_pb2, package_pb2

from benchmarks.bench.delivery_steps import SECONDS, SHOP
from benchmarks.bench.inventory_steps import CALLER as SYSTEM
from benchmarks.bench.processes import Served
from devtools.journey import PREPARE, Journey, Parties

AT_ONCE = 8
PARTIES = Parties(SHOP, "1", "1")
Item = TypeVar("Item")
Made = TypeVar("Made")


class People:
    """A merchant and a driver, over a channel of their own."""

    def __init__(self, delivery: Served) -> None:
        self.photos: dict[str, str] = {}
        """The evidence_id of the photo of its preparation, by package."""
        self._delivery = delivery

    async def claimable(self, count: int) -> list[str]:
        """Prepared packages of the first orders, which the driver can claim."""
        async with self._delivery.channel() as channel:
            journey = Journey(channel, PARTIES)
            driver = directory_pb2.RegisterDriverRequest(driver_id=PARTIES.driver_id, name="D", phone="+1")
            await journey.delivery.RegisterDriver(driver, metadata=SYSTEM, timeout=SECONDS)

            async def one(order: int) -> str:
                request = package_pb2.CreatePackageRequest(
                    package_sn=f"PG{order}",
                    workflow=package_pb2.WORKFLOW_DRIVER_TO_USER,
                    shop_id=PARTIES.shop_id,
                    order_ids=[str(order)],
                )
                merchant = PARTIES.metadata("merchant")
                await journey.delivery.CreatePackage(request, metadata=merchant, timeout=SECONDS)
                return (await journey.take(f"PG{order}", PREPARE)).package_sn

            return await _few_at_once(one, range(1, count + 1))

    async def take_photos(self, packages: Iterable[str]) -> None:
        """Of those that have none."""
        bare = [package for package in packages if package not in self.photos]
        async with self._delivery.channel() as channel:
            journey = Journey(channel, PARTIES)

            async def one(package: str) -> str:
                assert PREPARE.photo is not None
                return await journey.upload(package, PREPARE.photo, PREPARE.role)

            self.photos |= zip(bare, await _few_at_once(one, bare), strict=True)


async def _few_at_once(do: Callable[[Item], Awaitable[Made]], items: Iterable[Item]) -> list[Made]:
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(item: Item) -> Made:
        async with gate:
            return await do(item)

    return list(await asyncio.gather(*(one(item) for item in items)))
