import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from servicekit import places
from servicekit.errors import DatabaseUnavailable, Overloaded
from servicekit.persistence import transactions as kit
from servicekit.persistence.engines import create_engine
from servicekit.persistence.transactions import Transactions
from tests.servicekit.accounts import ACCOUNTS, Accounts, balances
from tests.servicekit.waiting import until


class Refused(Exception):
    pass


async def test_work_that_ends_well_is_committed_and_its_result_answered(
    transactions: Transactions[Accounts], url: str
) -> None:
    async def transfer(uow: Accounts) -> str:
        await uow.add(1, -30)
        await uow.add(2, 30)
        return "done"

    assert await transactions.run(transfer) == "done"

    assert await balances(url) == [70, 130]
    assert not transactions.reruns


async def test_a_refusal_goes_through_and_leaves_nothing_behind(
    transactions: Transactions[Accounts], url: str
) -> None:
    async def refuse(uow: Accounts) -> None:
        await uow.add(1, -30)
        raise Refused

    with pytest.raises(Refused):
        await transactions.run(refuse)

    assert await balances(url) == [100, 100]
    assert not transactions.reruns


async def test_a_database_error_that_is_no_conflict_is_not_tried_again(
    transactions: Transactions[Accounts], url: str
) -> None:
    tries = []

    async def insert_twice(uow: Accounts) -> None:
        tries.append(1)
        await uow.connection.execute(ACCOUNTS.insert(), {"id": 1, "balance": 5})

    with pytest.raises(IntegrityError):
        await transactions.run(insert_twice)

    assert len(tries) == 1
    assert await balances(url) == [100, 100]


async def test_reading_never_commits(transactions: Transactions[Accounts], url: str) -> None:
    async def write(uow: Accounts) -> int:
        await uow.add(1, -30)
        return await uow.balance(1)

    assert await transactions.read(write) == 70

    assert await balances(url) == [100, 100]


async def test_the_unit_of_work_knows_the_time_of_the_database_in_utc(
    transactions: Transactions[Accounts],
) -> None:
    async def now(uow: Accounts) -> datetime:
        return uow.now

    found = await transactions.read(now)

    assert found.tzinfo is not None
    assert abs(found - datetime.now(UTC)) < timedelta(seconds=5)


async def test_no_more_work_than_admitted_runs_at_once(engine: AsyncEngine) -> None:
    transactions = Transactions(engine, Accounts, at_once=2 + kit.KEPT_FOR_READS)
    running = most = 0

    async def count(uow: Accounts) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1

    async with asyncio.timeout(10):
        await asyncio.gather(*(transactions.run(count) for _ in range(12)))

    assert most == 2


async def test_work_that_waits_for_others_leaves_readers_their_way(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "MOST_WAITING", 18)
    transactions = Transactions(engine, Accounts, at_once=4)
    locked = asyncio.Event()
    done = asyncio.Event()

    async def wait(uow: Accounts) -> None:
        locked.set()
        await done.wait()

    async def balance(uow: Accounts) -> int:
        return await uow.balance(1)

    working = [asyncio.create_task(transactions.run(wait)) for _ in range(20)]
    await locked.wait()
    await until(lambda: transactions.waiting == 18)
    with pytest.raises(Overloaded):
        await transactions.run(wait)

    async with asyncio.timeout(2):
        assert await asyncio.gather(*(transactions.read(balance) for _ in range(5))) == [100] * 5

    assert not any(task.done() for task in working)
    done.set()
    await asyncio.gather(*working)


async def test_work_that_nobody_waits_for_is_not_refused_where_too_many_wait(
    engine: AsyncEngine, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "MOST_WAITING", 1)
    transactions = Transactions(engine, Accounts, at_once=1)
    done = asyncio.Event()

    async def hold(uow: Accounts) -> None:
        await done.wait()

    async def deposit(uow: Accounts) -> None:
        await uow.add(1, 1)

    async def balance(uow: Accounts) -> int:
        return await uow.balance(1)

    working = [asyncio.create_task(transactions.run(hold)) for _ in range(2)]
    await until(lambda: transactions.waiting == 1)
    with pytest.raises(Overloaded):
        await transactions.run(deposit)
    patient = [asyncio.create_task(transactions.patient().run(deposit)) for _ in range(3)]
    reading = [asyncio.create_task(transactions.patient().read(balance)) for _ in range(3)]
    await until(lambda: transactions.waiting == 7)
    done.set()

    await asyncio.gather(*working, *patient, *reading)
    assert await balances(url) == [103, 100]


async def test_work_beyond_the_queue_is_refused_and_the_queue_drains(engine: AsyncEngine, url: str) -> None:
    transactions = Transactions(engine, Accounts, at_once=1)
    let_go = asyncio.Event()

    async def hold(uow: Accounts) -> None:
        await let_go.wait()

    async def deposit(uow: Accounts) -> None:
        await uow.add(1, 1)

    holder = asyncio.create_task(transactions.run(hold))
    await asyncio.sleep(0.05)
    waiting = [asyncio.create_task(transactions.run(deposit)) for _ in range(places.MOST_WAITING)]
    await asyncio.sleep(0.05)
    with pytest.raises(Overloaded):
        await asyncio.wait_for(transactions.run(deposit), 5)

    for task in waiting[3:]:
        task.cancel()
    let_go.set()
    await asyncio.gather(holder, *waiting[:3])

    assert await balances(url) == [103, 100]


@pytest.mark.parametrize(
    "absent",
    [
        "postgresql+asyncpg://holdfast@/gone?host={folder}",
        "mysql+asyncmy://root@/gone?unix_socket={folder}/sql.sock",
        "postgresql+asyncpg://holdfast@127.0.0.1:9/gone",
        "mysql+asyncmy://root@127.0.0.1:9/gone",
    ],
)
async def test_a_database_that_is_away_is_said_to_be_so(absent: str, tmp_path: Path) -> None:
    engine = create_engine(absent.format(folder=tmp_path))
    transactions = Transactions(engine, Accounts)

    async def nothing(uow: Accounts) -> None:
        raise AssertionError("there is no database to work on")

    for run in (transactions.run, transactions.read):
        with pytest.raises(DatabaseUnavailable):
            await run(nothing)
    await engine.dispose()


@pytest.mark.parametrize("one_snapshot", [True, False])
async def test_a_read_sees_one_instant_where_it_asks_for_it(
    transactions: Transactions[Accounts], one_snapshot: bool
) -> None:
    async def spend(uow: Accounts) -> None:
        await uow.add(1, -30)

    async def look_twice(uow: Accounts) -> list[int]:
        first = await uow.balance(1)
        await transactions.run(spend)
        return [first, await uow.balance(1)]

    assert await transactions.read(look_twice, one_snapshot=one_snapshot) == [
        100,
        100 if one_snapshot else 70,
    ]


async def test_a_connection_that_read_one_snapshot_is_as_before(
    transactions: Transactions[Accounts], url: str
) -> None:
    engine = create_engine(url, pool_size=1)
    alone = Transactions(engine, Accounts, at_once=1)

    async def nothing(uow: Accounts) -> bool:
        return True

    async def stays(uow: Accounts) -> bool:
        first = await uow.balance(1)
        await transactions.run(lambda other: other.add(1, -10))
        return await uow.balance(1) == first

    seen = [
        await alone.read(stays, one_snapshot=True),
        await alone.read(stays),
        await alone.read(nothing, one_snapshot=True),
        await alone.read(stays),
        await alone.read(stays, one_snapshot=True),
    ]
    await engine.dispose()

    assert seen == [True, False, True, False, True]
