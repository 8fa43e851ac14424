"""The honest way to write it by hand: one transaction of three statements a reservation, on holdfast's own schema."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from uuid import uuid4

import asyncpg

from benchmarks.peers.holdfast import Warehouse
from benchmarks.peers.sides import About, Books, Outcome, Refused, Tally, Work

POOL = 10
"""As many connections as the service has by default; with one for each caller a hot row gets slower."""

TAKE = """
UPDATE inventory.stock SET reserved_quantity = reserved_quantity + 1, version = version + 1, updated_at = now()
WHERE sku = $1 AND status = 'in_stock' AND quantity - reserved_quantity >= 1
RETURNING id
"""
HOLD = """
INSERT INTO inventory.reservation (reservation_id, holder, state, created_by, create_time)
VALUES ($1, 'bench', 'HELD', 'bench', now())
"""
LINE = "INSERT INTO inventory.reservation_line (reservation_id, stock_id, quantity) VALUES ($1, $2, 1)"


class ThreeStatements:
    """Callers within this process, over a pool of the driver."""

    def __init__(self, warehouse: Warehouse, pool: asyncpg.Pool) -> None:
        self._warehouse = warehouse
        self._pool = pool

    @property
    def about(self) -> About:
        return About(
            "three statements",
            f"asyncpg {asyncpg.__version__}",
            f"conditional UPDATE, INSERT reservation, INSERT line; one transaction each; in process, pool of {POOL}",
            "no service: no contract, no validation, no deadline; a repeated call fails on its key instead of being"
            " answered; no expiry, no shortages named",
        )

    async def stock(self, skus: Sequence[str], quantity: int) -> None:
        await self._warehouse.stock(skus, quantity)

    async def reserve(self, work: Work) -> Outcome:
        return await Tally().work(work, self._one)

    async def books(self, skus: Sequence[str]) -> Books:
        return await self._warehouse.books(skus)

    async def _one(self, _caller: int, sku: str) -> int:
        reservation_id = f"three-{uuid4().hex}"
        async with self._pool.acquire() as connection, connection.transaction():
            stock_id = await connection.fetchval(TAKE, sku)
            if stock_id is None:
                raise Refused
            await connection.execute(HOLD, reservation_id)
            await connection.execute(LINE, reservation_id, stock_id)
        return 1


@asynccontextmanager
async def three_statements(warehouse: Warehouse) -> AsyncIterator[ThreeStatements]:
    """The side over the database of the running service."""
    async with asyncpg.create_pool(warehouse.dsn, min_size=POOL, max_size=POOL) as pool:
        yield ThreeStatements(warehouse, pool)
