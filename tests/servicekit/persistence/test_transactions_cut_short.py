"""What remains of a transaction whose connection or whose caller goes away."""

import asyncio
import gc
import itertools
import random
import time

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import QueuePool

from chaos.statements import Fault, statements_to
from servicekit.errors import DatabaseUnavailable
from servicekit.persistence import transactions as transactions_module
from servicekit.persistence.engines import create_engine
from servicekit.persistence.transactions import Transactions
from tests.servicekit.accounts import Accounts, balances
from tests.servicekit.sessions import kill, session_id, wire_to
from tests.servicekit.waiting import until


@pytest.mark.parametrize("when", ["at rest", "in a statement"])
async def test_work_whose_connection_is_killed_is_run_again_on_another(
    transactions: Transactions[Accounts], url: str, engine_name: str, when: str
) -> None:
    sessions = []
    pause = "SELECT pg_sleep(2)" if engine_name == "postgres" else "SELECT SLEEP(2)"

    async def loses_its_connection_once(uow: Accounts) -> None:
        sessions.append(await session_id(uow.connection))
        await uow.add(1, -10)
        if len(sessions) == 1 and when == "at rest":
            await kill(url, sessions[0])
        elif len(sessions) == 1:
            killing = asyncio.create_task(_kill_soon(url, sessions[0]))
            try:
                await uow.connection.execute(text(pause))
            finally:
                await killing
        await uow.add(2, 10)

    await transactions.run(loses_its_connection_once)

    assert await balances(url) == [90, 110]
    assert len(set(sessions)) == 2
    assert transactions.reruns.total() == 1


async def test_work_on_a_server_that_became_a_standby_is_run_again_on_another_connection(
    engine: AsyncEngine, url: str, engine_name: str
) -> None:
    postgres = engine_name == "postgres"
    setting = "default_transaction_read_only = on" if postgres else "SESSION TRANSACTION READ ONLY"
    async with engine.connect() as connection:
        await connection.execute(text(f"SET {setting}"))
        await connection.commit()
    transactions, sessions = Transactions(engine, Accounts, at_once=1), list[int]()

    async def deposit(uow: Accounts) -> None:
        sessions.append(await session_id(uow.connection))
        await uow.add(1, 10)

    await transactions.run(deposit)

    assert await balances(url) == [110, 100]
    assert len(set(sessions)) == 2


@pytest.mark.parametrize("way", ["run", "read"])
async def test_a_cancellation_that_nobody_asked_for_is_told_as_a_lost_connection(
    transactions: Transactions[Accounts], url: str, way: str
) -> None:
    async def cut(uow: Accounts) -> None:
        await uow.add(1, -10)
        raise asyncio.CancelledError("of a driver's own making")

    work = transactions.run(cut) if way == "run" else transactions.read(cut)
    [ended] = await asyncio.gather(work, return_exceptions=True)

    assert isinstance(ended, DatabaseUnavailable)
    assert await balances(url) == [100, 100]


async def _kill_soon(url: str, session: int) -> None:
    await asyncio.sleep(0.05)
    await kill(url, session)


async def test_a_connection_that_died_in_the_pool_is_noticed_by_nobody(
    transactions: Transactions[Accounts], url: str
) -> None:
    async def own_session(uow: Accounts) -> int:
        return await session_id(uow.connection)

    await kill(url, await transactions.run(own_session))

    async def deposit(uow: Accounts) -> None:
        await uow.add(1, 1)

    await transactions.run(deposit)
    assert await balances(url) == [101, 100]
    assert not transactions.reruns


async def test_reading_over_a_connection_that_is_killed_says_that_the_database_is_away(
    transactions: Transactions[Accounts], url: str
) -> None:
    async def loses_its_connection(uow: Accounts) -> int:
        await kill(url, await session_id(uow.connection))
        return await uow.balance(1)

    with pytest.raises(DatabaseUnavailable):
        await transactions.read(loses_its_connection)


@pytest.mark.parametrize(
    ("cut", "repeatable", "runs", "expected"),
    [
        ("before", False, 1, 100),
        ("after", False, 1, 90),
        ("before", True, 2, 90),
        ("after", True, 2, 80),
    ],
)
async def test_a_lost_commit_is_run_again_only_where_the_work_knows_its_own_effect(
    engine: AsyncEngine, url: str, cut: str, repeatable: bool, runs: int, expected: int
) -> None:
    async with wire_to(url) as (through, wire):
        cuttable = create_engine(through)
        transactions = Transactions(cuttable, Accounts)
        ran = 0

        async def withdraw(uow: Accounts) -> None:
            nonlocal ran
            ran += 1
            await uow.add(1, -10)
            if ran == 1:
                wire.cut_commit = cut

        if repeatable:
            await transactions.run(withdraw, repeatable=True)
        else:
            with pytest.raises(DatabaseUnavailable):
                await transactions.run(withdraw)
        await cuttable.dispose()

    assert ran == runs
    # This work does not know its own effect: what it does when run again after a commit is plain to see.
    assert await balances(url) == [expected, 100]


async def test_work_cancelled_anywhere_keeps_no_connection_no_place_and_no_lock(
    engine: AsyncEngine, url: str, engine_name: str, recwarn: pytest.WarningsRecorder
) -> None:
    # What earlier tests left to the garbage collector is not of this one.
    gc.collect()
    recwarn.clear()
    transactions = Transactions(engine, Accounts, at_once=3)
    pause = text("SELECT pg_sleep(0.01)" if engine_name == "postgres" else "SELECT SLEEP(0.01)")
    chance = random.Random(7)
    cancelled = 0

    async def slow(uow: Accounts) -> None:
        await uow.lock(1)
        await uow.connection.execute(pause)
        await uow.add(1, 1)

    async def deposit(uow: Accounts) -> None:
        await uow.add(1, 1)

    for _ in range(12):
        tasks = [asyncio.create_task(transactions.run(slow)) for _ in range(5)]
        await asyncio.sleep(chance.uniform(0, 0.03))
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        cancelled += sum(isinstance(end, asyncio.CancelledError) for end in ends)
    assert cancelled > 20

    async with asyncio.timeout(5):
        await asyncio.gather(*(transactions.run(deposit) for _ in range(3)))
    pool = engine.pool
    assert isinstance(pool, QueuePool)
    await until(lambda: pool.checkedout() == 0)
    # A connection that was lost and then found by the garbage collector is a leak all the same.
    gc.collect()
    assert [str(warning.message) for warning in recwarn] == []
    assert await _open_transactions(url, engine_name) == 0


async def _open_transactions(url: str, engine_name: str) -> int:
    query = (
        "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND state LIKE 'idle in transaction%'"
        if engine_name == "postgres"
        else "SELECT COUNT(*) FROM information_schema.innodb_trx t JOIN information_schema.processlist p"
        " ON p.id = t.trx_mysql_thread_id WHERE p.db = DATABASE() AND t.trx_mysql_thread_id <> CONNECTION_ID()"
    )
    outsider = create_engine(url)
    async with outsider.connect() as connection:
        found = (await connection.execute(text(query))).scalar_one()
    await outsider.dispose()
    return int(found)


async def test_a_session_that_falls_silent_is_given_up_and_its_place_is_free_again(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transactions_module, "CLOSING_SECONDS", 0.2)
    async with wire_to(url) as (through, wire):
        engine = create_engine(through, pool_size=1)
        transactions = Transactions(engine, Accounts, at_once=1, most_seconds=0.5)

        async def falls_silent(uow: Accounts) -> None:
            await uow.add(1, -10)
            wire.silence()
            await uow.add(2, 10)

        began = time.monotonic()
        with pytest.raises(DatabaseUnavailable):
            await transactions.run(falls_silent)
        # A driver says goodbye for two seconds more.
        assert time.monotonic() - began < 2
        async with asyncio.timeout(10):
            await transactions.run(lambda uow: uow.add(2, 1))
            wire.silence()
            with pytest.raises(DatabaseUnavailable):
                await transactions.read(lambda uow: uow.balance(1))
            assert await transactions.read(lambda uow: uow.balance(2)) == 101
        await engine.dispose()

    assert await balances(url) == [100, 101]


async def test_a_snapshot_is_not_waited_for_longer_than_any_other_transaction(url: str) -> None:
    async with wire_to(url) as (through, wire):
        engine = create_engine(through, pool_size=1)
        transactions = Transactions(engine, Accounts, at_once=1, most_seconds=0.5)
        await transactions.read(lambda uow: uow.balance(1))
        wire.silence()

        async with asyncio.timeout(5):
            with pytest.raises(DatabaseUnavailable):
                await transactions.read(lambda uow: uow.balance(1), one_snapshot=True)
        await engine.dispose()


async def test_what_is_read_of_a_snapshot_may_take_longer(url: str) -> None:
    engine = create_engine(url)
    transactions = Transactions(engine, Accounts, most_seconds=0.5)

    async def reads_much(uow: Accounts) -> int:
        await asyncio.sleep(0.8)
        return await uow.balance(1)

    assert await transactions.read(reads_much, one_snapshot=True) == 100
    await engine.dispose()


@pytest.mark.parametrize("one_snapshot", [True, False])
@pytest.mark.parametrize("fault", [Fault.LOST_BEFORE, Fault.LOST_AFTER])
async def test_a_read_that_loses_its_connection_at_any_statement_says_that_the_database_is_away(
    url: str, engine_name: str, fault: Fault, one_snapshot: bool
) -> None:
    async with statements_to(url, engine_name) as (through, statements):
        engine = create_engine(through, pool_size=1)
        transactions = Transactions(engine, Accounts)
        told = []
        for nth in itertools.count(1):
            # What begins a connection is another matter.
            await transactions.read(lambda uow: uow.balance(1))
            statements.fail(nth, fault)
            try:
                await transactions.read(lambda uow: uow.balance(1), one_snapshot=one_snapshot)
            except DatabaseUnavailable:
                told.append(nth)
            if not statements.relent():
                break
        await engine.dispose()

    assert told
