"""A refresh of the metrics view that takes as long as a test wants."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

_WAITING = text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    " AND query LIKE '%refresh_stock_metrics()%'"
)


@asynccontextmanager
async def stocks_locked(engine: AsyncEngine) -> AsyncIterator[None]:
    """Nobody may read the stocks meanwhile: a refresh that has begun cannot end."""
    async with engine.begin() as connection:
        await connection.execute(text("LOCK TABLE inventory.stock IN ACCESS EXCLUSIVE MODE"))
        yield


async def refreshes_under_way(engine: AsyncEngine) -> int:
    """How many refreshes wait for stocks that are locked."""
    async with engine.connect() as connection:
        count: int = (await connection.execute(_WAITING)).scalar_one()
    return count


async def until_under_way(engine: AsyncEngine, count: int = 1) -> None:
    """Waits until so many refreshes are under way."""
    for _ in range(500):
        if await refreshes_under_way(engine) == count:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"{await refreshes_under_way(engine)} refreshes are under way, not {count}")


async def shown_time(engine: AsyncEngine) -> datetime | None:
    """The time that the view says of itself."""
    async with engine.connect() as connection:
        time: datetime | None = (
            await connection.execute(text("SELECT refresh_time FROM inventory.stock_metrics_refresh"))
        ).scalar()
    return time


async def until_shown_after(engine: AsyncEngine, before: datetime) -> None:
    """Waits until the view says a later time of itself."""
    for _ in range(250):
        shown = await shown_time(engine)
        if shown is not None and shown > before:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"the view is still of {before}")


async def calculated_times(engine: AsyncEngine) -> set[datetime]:
    """The times that the view's rows say of themselves."""
    async with engine.connect() as connection:
        rows = await connection.execute(text("SELECT last_calculated_at FROM inventory.stock_metrics_view"))
        return set(rows.scalars())


async def make_older(engine: AsyncEngine, seconds: float) -> None:
    """Lets the view seem so much older."""
    older = (
        "UPDATE inventory.stock_metrics_refresh SET refresh_time = refresh_time - make_interval(secs => :age)"
    )
    async with engine.begin() as connection:
        await connection.execute(text(older), {"age": seconds})
