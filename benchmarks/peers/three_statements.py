"""The honest way to write it by hand: one transaction of three statements a reservation, on holdfast's own schema."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import asyncpg

from benchmarks.bench import statement_forms
from benchmarks.peers.holdfast import OfWarehouse
from benchmarks.peers.sides import About, Outcome, Refused, Tally, Work
from benchmarks.peers.warehouse import Warehouse
from inventory_service.domain.commands import Actor, ReserveStock
from inventory_service.domain.errors import InsufficientStock

BENCH = Actor("bench")


class ThreeStatements(OfWarehouse):
    """Callers within this process, over a pool of the driver."""

    def __init__(self, warehouse: Warehouse, pool: asyncpg.Pool) -> None:
        super().__init__(warehouse)
        self._pool = pool

    @property
    def about(self) -> About:
        return About(
            "three statements",
            f"asyncpg {asyncpg.__version__}",
            "INSERT reservation, INSERT line, conditional UPDATE; one transaction each; in process, pool of"
            f" {statement_forms.POOL}",
            "no service: no contract, no validation, no deadline; a repeated call fails on its key instead of being"
            " answered; no expiry, no shortages named",
        )

    async def reserve(self, work: Work) -> Outcome:
        return await Tally().work(work, self._one)

    async def _one(self, _caller: int, sku: str) -> int:
        command = ReserveStock(f"three-{uuid4().hex}", "bench", {sku: 1}, None, BENCH)
        async with self._pool.acquire() as connection:
            try:
                await statement_forms.three_statements(connection, command, sku, 1)
            except InsufficientStock as short:
                raise Refused from short
        return 1


@asynccontextmanager
async def three_statements(warehouse: Warehouse) -> AsyncIterator[ThreeStatements]:
    """The side over the database of the running service."""
    async with statement_forms.session_pool(warehouse.url) as pool:
        yield ThreeStatements(warehouse, pool)
