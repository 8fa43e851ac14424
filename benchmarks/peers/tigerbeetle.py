"""TigerBeetle, where somebody runs one: its server is in no registry that this fetches from."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks.peers.packages import PROGRAMS, python_program, version
from benchmarks.peers.program import Program, running
from benchmarks.peers.sides import About, Books, Outcome, Work
from devtools.environment import ROOT
from devtools.packages import python_packages


class TigerBeetle:
    """`single` transfers or a `batch` of 64 a call."""

    def __init__(self, program: Program, versions: str, how: str) -> None:
        self._program = program
        self._versions = versions
        self._how = how

    @property
    def about(self) -> About:
        return About(
            "TigerBeetle" if self._how == "single" else "TigerBeetle, 64 a call",
            self._versions,
            "an account for each sku that cannot be overdrawn, a pending transfer for each reservation; its server runs"
            " where and how the address given says, its disk settings are not known here",
            "no stocks beside the balances: skus, statuses, reports, and what a driver's photo proves live in another"
            " database, which a process that dies in between leaves behind",
        )

    async def stock(self, skus: Sequence[str], quantity: int) -> None:
        await self._program.stock(skus, quantity)

    async def forget(self) -> None:
        """It keeps everything: nothing can be taken out of it."""

    async def reserve(self, work: Work) -> Outcome:
        return await self._program.reserve(work, self._how)

    async def books(self, skus: Sequence[str]) -> Books:
        return Books(**await self._program.ask("books", skus=skus))


@asynccontextmanager
async def tigerbeetle(address: str, log: Path) -> AsyncIterator[tuple[TigerBeetle, TigerBeetle]]:
    """The cluster 0 at an address: single transfers, and batches. Raises PeerUnavailable, PackagesUnavailable."""
    packages = python_packages(PROGRAMS / "tigerbeetle.txt")
    line = f"Python client {version(packages, 'tigerbeetle')}"
    environment = {"PYTHONPATH": str(packages), "HOLDFAST_PEER_ADDRESS": address}
    async with running(
        python_program("tigerbeetle"), folder=ROOT, environment=environment, log=log
    ) as program:
        yield TigerBeetle(program, line, "single"), TigerBeetle(program, line, "batch")
