"""What inventory carried out long ago is forgotten, however much of it there is."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, insert, select, update

from delivery_service.persistence.outbox import DONE, PARKED
from delivery_service.persistence.tables import outbox
from delivery_service.persistence.unit_of_work import SqlUnitOfWork
from delivery_service.workers.outbox_expiry import BATCH, KEPT_DAYS, outbox_expiry
from servicekit.persistence.engines import create_engine
from servicekit.persistence.transactions import Transactions
from tests.delivery_service.client import Delivery, eventually
from tests.delivery_service.conftest import Running


def entry(number: int, days: float, state: int = DONE) -> dict[str, object]:
    """The command of that number of one package, so many days old."""
    time = datetime.now(UTC) - timedelta(days=days)
    return {
        "event_id": uuid.uuid4().hex,
        "package_id": 1,
        "package_sn": "OLD",
        "package_version": number,
        "command": "RESERVE",
        "payload": "{}",
        "trace": "",
        "state": state,
        "attempts": 1,
        "next_attempt_time": time,
        "create_time": time,
        "done_time": time if state == DONE else None,
    }


async def test_all_that_is_old_goes_and_what_is_young_open_or_the_last_stays(
    delivery: Delivery, running: Running
) -> None:
    many = 2 * BATCH + 10
    entries = [entry(number, KEPT_DAYS + 1) for number in range(1, many)]
    kept = [
        entry(many, KEPT_DAYS - 1),
        entry(many + 1, KEPT_DAYS + 1, PARKED),
        entry(many + 2, KEPT_DAYS + 1),
    ]
    async with delivery.engine.begin() as connection:
        await connection.execute(insert(outbox), [*entries, *kept])
    engine = create_engine(running.url, pool_size=2)
    expiry = outbox_expiry(Transactions(engine, SqlUnitOfWork), idle_seconds=60)

    polling = asyncio.create_task(expiry.run())

    async def gone() -> bool:
        return await count(delivery) <= len(kept)

    await eventually(gone)
    expiry.stop()
    await polling
    await engine.dispose()

    async with delivery.engine.begin() as connection:
        versions = select(outbox.c.package_version).order_by(outbox.c.package_version)
        assert list((await connection.execute(versions)).scalars()) == [many, many + 1, many + 2]
        await connection.execute(update(outbox).values(state=DONE))


async def count(delivery: Delivery) -> int:
    """How many commands there are."""
    async with delivery.engine.connect() as connection:
        return int((await connection.execute(select(func.count()).select_from(outbox))).scalar_one())
