"""The outbox on the real engines: nothing lost, nothing doubled, one package's commands in their order."""

import asyncio
import itertools
import random
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from delivery_service.application.stock_ports import Lease, Task, Wish
from delivery_service.domain.package import Package
from delivery_service.domain.reservation import StockCommand
from delivery_service.domain.workflow import PackageState
from delivery_service.persistence.codes import STATE_CODES
from delivery_service.persistence.outbox import DONE, PENDING
from delivery_service.persistence.tables import outbox, package_items, package_orders, packages
from delivery_service.persistence.unit_of_work import SqlUnitOfWork
from servicekit.transactions import Transactions
from tests.delivery_service.domain.builders import a_package

Runner = Transactions[SqlUnitOfWork]
numbers = itertools.count(1)


@pytest.fixture(autouse=True)
async def empty(engine: AsyncEngine) -> None:
    """No packages and no commands."""
    async with engine.begin() as connection:
        for table in (outbox, package_orders, package_items, packages):
            await connection.execute(delete(table))


async def stored(transactions: Runner) -> Package:
    """A new package in the database."""
    number = next(numbers)
    package = a_package(package_sn=f"PG{number}", order_ids=(number,), reservation_id=f"PG{number}:1")

    async def add(uow: SqlUnitOfWork) -> Package | None:
        return await uow.packing.add(package)

    added = await transactions.run(add)
    assert added is not None
    return added


async def put(transactions: Runner, package: Package, command: StockCommand, pause: float = 0) -> None:
    """Puts a command in, as a use case does: under the package's lock."""

    async def add(uow: SqlUnitOfWork) -> None:
        await uow.packages.lock(package.package_sn)
        await uow.outbox.add([Wish(package, command, "")])
        await asyncio.sleep(pause)

    await transactions.run(add)


async def claim(transactions: Runner, most: int = 10) -> list[Task]:
    """Claims with a lease of 30 s."""
    return await transactions.run(lambda uow: uow.outbox.claim(most, 30))


async def done(transactions: Runner, tasks: list[Task]) -> set[Lease]:
    """Closes those whose lease is good still; answers these leases."""

    async def close(uow: SqlUnitOfWork) -> set[Lease]:
        leases = await uow.outbox.lock_leased(tasks)
        await uow.outbox.done([task for task in tasks if task.lease in leases])
        return leases

    return await transactions.run(close)


async def test_a_packages_second_command_waits_for_its_first(transactions: Runner) -> None:
    package, other = await stored(transactions), await stored(transactions)
    for command in (StockCommand.RESERVE, StockCommand.COMMIT):
        await put(transactions, package, command)
    await put(transactions, other, StockCommand.RESERVE)

    first = await claim(transactions)
    assert [(task.package_sn, task.command) for task in first] == [
        (package.package_sn, StockCommand.RESERVE),
        (other.package_sn, StockCommand.RESERVE),
    ]
    assert await claim(transactions) == []
    assert await done(transactions, first[:1]) == {first[0].lease}

    (second,) = await claim(transactions)
    assert (second.package_sn, second.command) == (package.package_sn, StockCommand.COMMIT)


async def test_a_command_says_what_inventory_needs(transactions: Runner) -> None:
    package = await stored(transactions)
    await put(transactions, package, StockCommand.RESERVE)

    (task,) = await claim(transactions)

    assert (task.reservation_id, task.lines, task.attempts) == (package.reservation_id, {"A": 2}, 1)


async def test_an_entry_put_back_is_due_again_only_after_its_pause(transactions: Runner) -> None:
    await put(transactions, await stored(transactions), StockCommand.RESERVE)
    (task,) = await claim(transactions)

    await transactions.run(lambda uow: uow.outbox.try_later([(task, "away", 0.3)]))
    assert await claim(transactions) == []
    await asyncio.sleep(0.35)

    (again,) = await claim(transactions)
    assert (again.entry_id, again.attempts) == (task.entry_id, 2)


async def test_a_parked_command_blocks_its_own_package_only(transactions: Runner) -> None:
    package = await stored(transactions)
    await put(transactions, package, StockCommand.COMMIT)
    (task,) = await claim(transactions)
    await transactions.run(lambda uow: uow.outbox.park([(task, "refused")]))

    await put(transactions, package, StockCommand.RELEASE)
    await put(transactions, await stored(transactions), StockCommand.RESERVE)

    assert [task.command for task in await claim(transactions)] == [StockCommand.RESERVE]


async def test_an_answer_under_a_lease_that_was_taken_over_is_not_recorded(
    transactions: Runner, engine: AsyncEngine
) -> None:
    await put(transactions, await stored(transactions), StockCommand.RESERVE)
    (slow,) = await claim(transactions)
    assert await transactions.run(lambda uow: uow.outbox.take_over(10)) == 0
    async with engine.begin() as connection:
        await connection.execute(update(outbox).values(lease_until_time=package_time()))

    assert await transactions.run(lambda uow: uow.outbox.take_over(10)) == 1
    (fresh,) = await claim(transactions)

    assert await done(transactions, [slow]) == set()
    assert await done(transactions, [slow, fresh]) == {fresh.lease}


async def test_a_release_closes_a_reserve_that_was_not_answered(
    transactions: Runner, engine: AsyncEngine
) -> None:
    package = await stored(transactions)
    await put(transactions, package, StockCommand.RESERVE)
    (in_flight,) = await claim(transactions)

    await put(transactions, replace(package, state=PackageState.CANCELLED), StockCommand.RELEASE)

    async with engine.connect() as connection:
        states = select(outbox.c.command, outbox.c.state).order_by(outbox.c.package_version)
        assert [tuple(row) for row in await connection.execute(states)] == [
            ("RESERVE", DONE),
            ("RELEASE", PENDING),
        ]
    assert await done(transactions, [in_flight]) == set()


async def test_old_closed_commands_are_forgotten_but_the_newest_of_a_package_and_open_ones_stay(
    transactions: Runner, engine: AsyncEngine
) -> None:
    package = await stored(transactions)
    for command in (StockCommand.RESERVE, StockCommand.COMMIT, StockCommand.RELEASE):
        await put(transactions, package, command)
    long_ago = {"next_attempt_time": package_time(), "state": DONE}
    async with engine.begin() as connection:
        await connection.execute(update(outbox).where(outbox.c.package_version.in_([1, 3])).values(long_ago))

    forgotten = await transactions.run(lambda uow: uow.outbox.forget_done(timedelta(days=30), 10))

    assert forgotten == 1
    async with engine.connect() as connection:
        left = select(outbox.c.package_version).order_by(outbox.c.package_version)
        assert list((await connection.execute(left)).scalars()) == [2, 3]


async def test_the_last_command_of_a_package_is_forgotten_once_the_package_has_ended(
    transactions: Runner, engine: AsyncEngine
) -> None:
    ended, going_on = [await stored(transactions) for _ in range(2)]
    for package in (ended, going_on):
        await put(transactions, package, StockCommand.RESERVE)
    async with engine.begin() as connection:
        long_ago = {"next_attempt_time": package_time(), "state": DONE}
        await connection.execute(update(outbox).values(long_ago))
        completed = {"prepare_status": STATE_CODES[PackageState.COMPLETED]}
        await connection.execute(update(packages).where(packages.c.id == ended.package_id).values(completed))

    forgotten = await transactions.run(lambda uow: uow.outbox.forget_done(timedelta(days=30), 10))

    assert forgotten == 1
    async with engine.connect() as connection:
        left = (await connection.execute(select(outbox.c.package_id))).scalars()
        assert list(left) == [going_on.package_id]


async def test_with_many_writers_and_relays_nothing_is_lost_doubled_or_overtaken(
    transactions: Runner,
) -> None:
    made = [await stored(transactions) for _ in range(12)]
    sent: dict[str, list[str]] = {package.package_sn: [] for package in made}
    expected = 12 * 8
    overlapping = 0
    working = 0

    async def write(package: Package) -> None:
        for number in range(8):
            # The order of commits is not that of ids: some transactions stay open longer.
            tagged = replace(package, reservation_id=f"{package.package_sn}:{number}")
            await put(transactions, tagged, StockCommand.COMMIT, random.uniform(0, 0.01))

    async def relay() -> None:
        nonlocal overlapping, working
        while sum(map(len, sent.values())) < expected:
            tasks = await claim(transactions, 5)
            working += 1
            overlapping += working > 1
            for task in tasks:
                sent[task.package_sn].append(task.reservation_id)
            assert await done(transactions, tasks) == {task.lease for task in tasks}
            await asyncio.sleep(0.002)
            working -= 1

    async with asyncio.timeout(60):
        await asyncio.gather(*map(write, made), *(relay() for _ in range(4)))

    assert overlapping > 0
    for package in made:
        assert sent[package.package_sn] == [f"{package.package_sn}:{number}" for number in range(8)]


def package_time() -> object:
    """A time long past, as the database stores times."""
    return a_package().create_time.replace(year=2001)
