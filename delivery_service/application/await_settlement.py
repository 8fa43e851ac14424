"""Waiting for inventory's answer about a package, without holding a connection meanwhile."""

import asyncio
from collections import defaultdict

from delivery_service.application.ports import Transactions, UnitOfWork
from delivery_service.domain.errors import PackageNotFound
from delivery_service.domain.package import Package
from delivery_service.domain.workflow import StockState

FIRST_PAUSE_SECONDS = 0.075
MOST_PAUSE_SECONDS = 0.5


class Settlements:
    """Wakes those who wait for a package; answers recorded by another process are found by looking."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._draining = False

    def notify(self, package_sn: str) -> None:
        """Something was recorded about the package."""
        for event in self._waiting.get(package_sn, ()):
            event.set()

    def drain(self) -> None:
        """Nobody waits any more: everyone answers what there is."""
        self._draining = True
        for events in self._waiting.values():
            for event in events:
                event.set()

    async def settled(self, package_sn: str, seconds: float) -> Package:
        """The package once inventory has answered its reserve, or as it is after `seconds`.

        Raises PackageNotFound.
        """
        until = asyncio.get_running_loop().time() + seconds
        pause = FIRST_PAUSE_SECONDS
        event = asyncio.Event()
        self._waiting[package_sn].add(event)
        try:
            while True:
                event.clear()
                package = await self._read(package_sn)
                left = until - asyncio.get_running_loop().time()
                if package.stock_state is not StockState.REQUESTED or left <= 0 or self._draining:
                    return package
                await _first(event, min(left, pause))
                # Answers recorded here wake at once; looking is for those recorded elsewhere.
                pause = min(2 * pause, MOST_PAUSE_SECONDS)
        finally:
            self._waiting[package_sn].discard(event)
            if not self._waiting[package_sn]:
                del self._waiting[package_sn]

    async def _read(self, package_sn: str) -> Package:
        async def get(uow: UnitOfWork) -> Package | None:
            return await uow.packages.get(package_sn)

        package = await self._transactions.read(get)
        if package is None:
            raise PackageNotFound(package_sn)
        return package


async def _first(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
