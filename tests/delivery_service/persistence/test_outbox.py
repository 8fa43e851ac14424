"""The outbox on the real engines: nothing lost, nothing doubled, one package's commands in their order."""

import asyncio
import itertools
import random
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from delivery_service.application.stock_ports import Lease, NewCommand, Task
from delivery_service.domain.package import Package
from delivery_service.domain.reservation import StockCommand
from delivery_service.domain.workflow import PackageState
from delivery_service.persistence.codes import STATE_CODES
from delivery_service.persistence.outbox import DONE
from delivery_service.persistence.tables import outbox, package_items, package_orders, packages
from delivery_service.persistence.unit_of_work import SqlUnitOfWork
from servicekit.persistence.transactions import Transactions
from tests.delivery_service.domain.builders import a_package
from tests.delivery_service.store_contract import CHECKS, Check

Runner = Transactions[SqlUnitOfWork]
numbers = itertools.count(1, 10)


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
        await uow.outbox.add([NewCommand(package, command, "")])
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


@pytest.mark.parametrize("check", CHECKS)
async def test_the_engines_keep_the_contract(check: Check, transactions: Runner) -> None:
    await check(transactions, asyncio.sleep, next(numbers))


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
