"""Waiting for inventory's answer about a package, without holding a connection meanwhile."""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import contextmanager

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
        self._waiting: defaultdict[str, set[asyncio.Future[Package | None]]] = defaultdict(set)
        self._draining = False

    def notify(self, package: Package) -> None:
        """An answer was recorded, and the package is so now."""
        self._wake(self._waiting.get(package.package_sn, ()), package)

    def drain(self) -> None:
        """Nobody waits any more: everyone answers what there is."""
        self._draining = True
        for waiting in self._waiting.values():
            self._wake(waiting, None)

    async def settled(self, package_sn: str, seconds: float) -> Package:
        """The package once inventory has answered its reserve, or as it is after `seconds`.

        Raises PackageNotFound.
        """
        until = asyncio.get_running_loop().time() + seconds
        pause = FIRST_PAUSE_SECONDS
        while True:
            # Waiting begins before looking, so that no answer is recorded unseen between the two.
            with self._waiter(package_sn) as told:
                package = await self._read(package_sn)
                left = until - asyncio.get_running_loop().time()
                if package.stock_state is not StockState.REQUESTED or left <= 0 or self._draining:
                    return package
                package = await _first(told, min(left, pause)) or package
            if package.stock_state is not StockState.REQUESTED:
                return package
            # Answers recorded here wake at once; looking is for those recorded elsewhere.
            pause = min(2 * pause, MOST_PAUSE_SECONDS)

    @contextmanager
    def _waiter(self, package_sn: str) -> Iterator[asyncio.Future[Package | None]]:
        told: asyncio.Future[Package | None] = asyncio.get_running_loop().create_future()
        self._waiting[package_sn].add(told)
        try:
            yield told
        finally:
            self._waiting[package_sn].discard(told)
            if not self._waiting[package_sn]:
                del self._waiting[package_sn]

    def _wake(self, waiting: Collection[asyncio.Future[Package | None]], package: Package | None) -> None:
        for told in waiting:
            if not told.done():
                told.set_result(package)

    async def _read(self, package_sn: str) -> Package:
        async def get(uow: UnitOfWork) -> Package | None:
            return await uow.packages.get(package_sn)

        package = await self._transactions.read(get)
        if package is None:
            raise PackageNotFound(package_sn)
        return package


async def _first(told: asyncio.Future[Package | None], seconds: float) -> Package | None:
    await asyncio.wait([told], timeout=seconds)
    return told.result() if told.done() else None
