import asyncio
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from servicekit.persistence.expiry import BATCH, request_expiry
from servicekit.persistence.requests import KEPT_DAYS
from servicekit.persistence.transactions import Transactions
from tests.servicekit.accounts import REQUESTS, Accounts


async def test_requests_are_kept_for_their_days_and_then_forgotten_all_of_them(
    transactions: Transactions[Accounts], engine: AsyncEngine
) -> None:
    young = datetime.now(UTC) - timedelta(days=KEPT_DAYS) + timedelta(hours=1)
    old = datetime.now(UTC) - timedelta(days=KEPT_DAYS, hours=1)
    rows = [
        {"caller": "c", "method": "m", "request_id": f"r-{n}", "digest": "d" * 64, "create_time": age}
        for n, age in enumerate([young, young, *[old] * (2 * BATCH + 1)])
    ]
    async with engine.begin() as connection:
        await connection.execute(REQUESTS.insert(), rows)

    poller = request_expiry(transactions, idle_seconds=60)
    running = asyncio.create_task(poller.run())

    async with asyncio.timeout(60):
        while await _requests(engine) > 2:  # noqa: ASYNC110 - asked of the database
            await asyncio.sleep(0.05)
    await asyncio.sleep(0.05)
    assert await _requests(engine) == 2
    poller.stop()
    await running


async def _requests(engine: AsyncEngine) -> int:
    async with engine.connect() as connection:
        return int((await connection.execute(select(func.count()).select_from(REQUESTS))).scalar_one())
