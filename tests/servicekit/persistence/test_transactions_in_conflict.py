import asyncio
from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from servicekit.errors import ConcurrentUpdate, DeadlineExceeded
from servicekit.persistence.transactions import TRIES, Transactions
from tests.servicekit.accounts import REQUESTS, Accounts, balances
from tests.servicekit.waiting import until

DEADLOCK: dict[str, str | int] = {"postgres": "40P01", "mysql": 1213, "mariadb": 1213}
LOCK_WAIT: dict[str, str | int] = {"postgres": "55P03", "mysql": 1205, "mariadb": 1205}
SHORT_LOCK_WAIT = {
    "postgres": "SET LOCAL lock_timeout = '100ms'",
    "mysql": "SET SESSION innodb_lock_wait_timeout = 1",
    "mariadb": "SET SESSION innodb_lock_wait_timeout = 1",
}
SERIALIZATION: dict[str, tuple[str | int, str]] = {
    "postgres": ("40001", "DO $$ BEGIN RAISE EXCEPTION 'moved' USING ERRCODE = '40001'; END $$"),
    "mysql": (3572, "SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 3572"),
    "mariadb": (1020, "SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1020"),
}
DIGITS = "(" + " UNION ALL ".join(f"SELECT {digit} AS d" for digit in range(10)) + ")"
ENDLESS = "SELECT COUNT(*) FROM " + ", ".join(f"{DIGITS} t{place}" for place in range(10))  # noqa: S608
SHORT_STATEMENT = {
    "postgres": "SET LOCAL statement_timeout = '50ms'",
    "mysql": "SET SESSION max_execution_time = 50",
    "mariadb": "SET SESSION max_statement_time = 0.05",
}


async def test_a_deadlock_is_run_again_until_both_sides_have_had_their_way(
    transactions: Transactions[Accounts], engine_name: str, url: str
) -> None:
    both_hold_one = asyncio.Barrier(2)

    def opposite(first: int, second: int) -> Callable[[Accounts], Awaitable[None]]:
        tries = 0

        async def transfer(uow: Accounts) -> None:
            nonlocal tries
            tries += 1
            await uow.add(first, -10)
            if tries == 1:
                await both_hold_one.wait()
            await uow.add(second, 10)

        return transfer

    await asyncio.gather(transactions.run(opposite(1, 2)), transactions.run(opposite(2, 1)))

    assert await balances(url) == [100, 100]
    assert transactions.reruns[DEADLOCK[engine_name]] >= 1


async def test_a_lock_that_does_not_come_in_time_is_waited_for_again(
    transactions: Transactions[Accounts], engine: AsyncEngine, engine_name: str, url: str
) -> None:
    async def impatient(uow: Accounts) -> None:
        await uow.connection.execute(text(SHORT_LOCK_WAIT[engine_name]))
        await uow.add(1, -10)

    async with engine.connect() as other:
        await Accounts(other, None).lock(1)  # type: ignore[arg-type]
        waiting = asyncio.create_task(transactions.run(impatient))
        await until(lambda: transactions.reruns)
    await waiting

    assert await balances(url) == [90, 100]
    assert set(transactions.reruns) == {LOCK_WAIT[engine_name]}


async def test_a_lock_that_others_keep_is_given_up_after_two_waits(
    transactions: Transactions[Accounts], engine: AsyncEngine, engine_name: str, url: str
) -> None:
    tries = 0

    async def impatient(uow: Accounts) -> None:
        nonlocal tries
        tries += 1
        await uow.connection.execute(text(SHORT_LOCK_WAIT[engine_name]))
        await uow.add(2, 10)
        await uow.add(1, -10)

    async with engine.connect() as other:
        await Accounts(other, None).lock(1)  # type: ignore[arg-type]
        with pytest.raises(ConcurrentUpdate):
            await transactions.run(impatient)

    assert tries == 2
    assert await balances(url) == [100, 100]


async def test_work_overtaken_by_other_work_is_run_again_whole(
    transactions: Transactions[Accounts], engine_name: str, url: str
) -> None:
    error, statement = SERIALIZATION[engine_name]
    tries = 0

    async def overtaken_twice(uow: Accounts) -> None:
        nonlocal tries
        tries += 1
        await uow.add(1, -10)
        if tries <= 2:
            await uow.connection.execute(text(statement))

    await transactions.run(overtaken_twice)

    assert await balances(url) == [90, 100]
    assert dict(transactions.reruns) == {error: 2}


async def test_work_that_is_overtaken_every_time_is_given_up_without_effect(
    transactions: Transactions[Accounts], engine_name: str, url: str
) -> None:
    tries = 0

    async def always_overtaken(uow: Accounts) -> None:
        nonlocal tries
        tries += 1
        await uow.add(1, -10)
        await uow.connection.execute(text(SERIALIZATION[engine_name][1]))

    with pytest.raises(ConcurrentUpdate):
        await transactions.run(always_overtaken)

    assert tries == TRIES
    assert transactions.reruns.total() == tries - 1
    assert await balances(url) == [100, 100]


async def test_a_look_that_is_overtaken_or_kept_waiting_is_refused_as_work_is(
    transactions: Transactions[Accounts], engine: AsyncEngine, engine_name: str
) -> None:
    async def overtaken(uow: Accounts) -> None:
        await uow.connection.execute(text(SERIALIZATION[engine_name][1]))

    async def impatient(uow: Accounts) -> None:
        await uow.connection.execute(text(SHORT_LOCK_WAIT[engine_name]))
        await uow.lock(1)

    with pytest.raises(ConcurrentUpdate):
        await transactions.read(overtaken)
    async with engine.connect() as other:
        await Accounts(other, None).lock(1)  # type: ignore[arg-type]
        with pytest.raises(ConcurrentUpdate):
            await transactions.read(impatient)


@pytest.mark.parametrize("engine_name", ["mysql", "mariadb"])
async def test_a_table_that_was_altered_since_the_snapshot_was_taken_is_read_in_another(
    transactions: Transactions[Accounts], engine: AsyncEngine
) -> None:
    async def overtaken(uow: Accounts) -> int:
        await uow.connection.execute(REQUESTS.select())
        async with engine.connect() as other:
            await other.execute(text("ALTER TABLE account FORCE"))
        return await uow.balance(1)

    with pytest.raises(ConcurrentUpdate):
        await transactions.read(overtaken, one_snapshot=True)

    assert await transactions.read(lambda uow: uow.balance(1), one_snapshot=True) == 100


async def test_a_statement_that_takes_too_long_is_not_run_again(
    transactions: Transactions[Accounts], engine_name: str, url: str
) -> None:
    tries = 0

    async def slow(uow: Accounts) -> None:
        nonlocal tries
        tries += 1
        await uow.add(1, -10)
        await uow.connection.execute(text(SHORT_STATEMENT[engine_name]))
        await uow.connection.execute(text(ENDLESS))

    with pytest.raises(DeadlineExceeded):
        await transactions.run(slow)

    assert tries == 1
    assert await balances(url) == [100, 100]
    with pytest.raises(DeadlineExceeded):
        await transactions.read(slow)
