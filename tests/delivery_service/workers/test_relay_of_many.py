"""A relay of the tests' own: many commands at once, each package's in order, nobody held up or failed by another."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from delivery_service.application.record_answers import Ending, Told
from delivery_service.application.settle_stock import claim_due
from delivery_service.application.stock_ports import Answer, Done, NewCommand, Refused, Task
from delivery_service.domain.package import Package
from delivery_service.domain.reservation import StockCommand
from delivery_service.domain.workflow import StockState
from delivery_service.persistence.codes import STOCK_STATE_CODES, STOCK_STATES
from delivery_service.persistence.outbox import DONE, INFLIGHT, PARKED, PENDING
from delivery_service.persistence.tables import outbox, package_items, package_orders, packages
from delivery_service.persistence.unit_of_work import SqlUnitOfWork
from delivery_service.workers.answer_log import AnswerLog
from delivery_service.workers.outbox_relay import AT_ONCE, FEWEST_AT_ONCE, OutboxRelay
from servicekit.persistence.transactions import Transactions
from tests.delivery_service.client import eventually
from tests.delivery_service.domain.builders import a_package
from tests.delivery_service.fake_inventory import FakeInventory

Runner = Transactions[SqlUnitOfWork]
NEVER = 60.0
"""Seconds between two looks of a relay that has to be told."""
numbers = itertools.count(1)


@dataclass
class Watched(FakeInventory):
    """Takes its time, and sees which holds it is asked about meanwhile."""

    under_way: list[str] = field(default_factory=list)
    most_at_once: int = 0
    overlapping: set[str] = field(default_factory=set)

    async def _enter(self, command: str, reservation_id: str) -> Answer | None:
        self.overlapping |= {reservation_id} & set(self.under_way)
        self.under_way.append(reservation_id)
        self.most_at_once = max(self.most_at_once, len(self.under_way))
        await asyncio.sleep(0.02)
        self.under_way.remove(reservation_id)
        return await super()._enter(command, reservation_id)


@pytest.fixture(autouse=True)
async def empty(engine: AsyncEngine) -> None:
    """No packages and no commands."""
    async with engine.begin() as connection:
        for table in (outbox, package_orders, package_items, packages):
            await connection.execute(delete(table))


async def asked(transactions: Runner, many: int, *commands: StockCommand) -> list[Package]:
    """So many packages that ask for their hold, with these commands, or with the one that asks."""

    async def add(uow: SqlUnitOfWork) -> list[Package]:
        added = []
        for number in itertools.islice(numbers, many):
            package_sn = f"PG{number}"
            package = await uow.packing.add(
                a_package(
                    package_sn=package_sn,
                    order_ids=(number,),
                    reservation_id=f"{package_sn}:1",
                    stock_state=StockState.REQUESTED,
                )
            )
            assert package is not None
            for command in commands or (StockCommand.RESERVE,):
                await uow.outbox.add([NewCommand(package, command, "")])
            added.append(package)
        return added

    return await transactions.run(add)


@asynccontextmanager
async def relaying(
    transactions: Runner, inventory: FakeInventory, idle_seconds: float = NEVER
) -> AsyncIterator[OutboxRelay]:
    """A relay at work until the block ends."""
    relay = OutboxRelay(transactions, inventory, lambda _: None, idle_seconds=idle_seconds, lease_seconds=30)
    running = asyncio.create_task(relay.run())
    yield relay
    relay.stop()
    await running


async def stock_states(engine: AsyncEngine) -> dict[str, StockState]:
    """Of every package."""
    async with engine.connect() as connection:
        rows = await connection.execute(select(packages.c.prepare_sn, packages.c.stock_state))
        return {row.prepare_sn: STOCK_STATES[row.stock_state] for row in rows}


async def number_of(engine: AsyncEngine, state: int) -> int:
    """How many commands are in that state."""
    async with engine.connect() as connection:
        counted = select(func.count()).select_from(outbox).where(outbox.c.state == state)
        return int((await connection.execute(counted)).scalar_one())


async def reach(engine: AsyncEngine, state: int, wanted: int) -> None:
    """Waits until at least so many commands are in that state."""

    async def there() -> bool:
        return await number_of(engine, state) >= wanted

    await eventually(there)


async def claimed(transactions: Runner) -> dict[str, Task]:
    """What is due, on lease, by package_sn."""
    return {task.package_sn: task for task in await claim_due(transactions, AT_ONCE, 30)}


async def test_the_commands_of_one_package_go_one_after_the_other_and_need_no_other_look(
    transactions: Runner, engine: AsyncEngine
) -> None:
    inventory = Watched(stock={"A": 1000})
    order = (StockCommand.RESERVE, StockCommand.COMMIT, StockCommand.COMMIT, StockCommand.COMMIT)
    made = await asked(transactions, 20, *order)

    async with relaying(transactions, inventory):
        await reach(engine, DONE, 20 * len(order))

    assert inventory.most_at_once > 1
    assert not inventory.overlapping
    for package in made:
        calls = [command for command, hold in inventory.calls if hold == package.reservation_id]
        assert calls == ["reserve", "commit", "commit", "commit"]


async def test_no_more_is_taken_on_lease_than_there_is_room_for(
    transactions: Runner, engine: AsyncEngine
) -> None:
    wanted = 2 * AT_ONCE + 3
    inventory = FakeInventory(stock={"A": 1000})
    answering = asyncio.Event()
    inventory.before_answer = answering.wait
    await asked(transactions, wanted)

    async with relaying(transactions, inventory, idle_seconds=0.05):
        await reach(engine, INFLIGHT, AT_ONCE)
        await asyncio.sleep(0.2)
        assert len(inventory.calls) == AT_ONCE

        answering.set()
        await reach(engine, DONE, wanted)
    assert len(set(inventory.calls)) == len(inventory.calls) == wanted
    assert set((await stock_states(engine)).values()) == {StockState.HELD}


async def test_an_inventory_that_does_not_keep_up_is_asked_less(
    transactions: Runner, engine: AsyncEngine
) -> None:
    inventory = FakeInventory(stock={"A": 1000}, down=True)
    await asked(transactions, AT_ONCE)

    async with relaying(transactions, inventory, idle_seconds=0.05):

        async def all_put_back() -> bool:
            return len(inventory.calls) >= AT_ONCE and await number_of(engine, PENDING) == AT_ONCE

        await eventually(all_put_back)
        answering = asyncio.Event()
        inventory.down, inventory.before_answer = False, answering.wait
        async with engine.begin() as connection:
            await connection.execute(update(outbox).values(next_attempt_time=outbox.c.create_time))
        await reach(engine, INFLIGHT, FEWEST_AT_ONCE)
        await asyncio.sleep(0.3)
        assert await number_of(engine, INFLIGHT) < AT_ONCE // 2
        answering.set()
        await reach(engine, DONE, AT_ONCE)


async def test_an_answer_is_not_recorded_under_the_lease_of_another(
    transactions: Runner, engine: AsyncEngine
) -> None:
    await asked(transactions, 3)
    before = await claimed(transactions)
    lost, *ours = before
    async with engine.begin() as connection:
        of_lost = update(outbox).where(outbox.c.package_sn == lost)
        await connection.execute(of_lost.values(lease_token="f" * 32))
    answers = AnswerLog(transactions)

    recorded = await asyncio.gather(*(answers.record(Told(task, Done())) for task in before.values()))

    endings = dict(zip(before, (settlement.ending for settlement in recorded), strict=True))
    assert endings == {lost: Ending.LEASE_LOST} | dict.fromkeys(ours, Ending.CLOSED)
    assert await stock_states(engine) == {lost: StockState.REQUESTED} | dict.fromkeys(ours, StockState.HELD)
    assert await number_of(engine, INFLIGHT) == 1


async def test_an_answer_about_a_package_that_is_locked_holds_up_no_other(
    transactions: Runner, engine: AsyncEngine
) -> None:
    await asked(transactions, 5)
    tasks = await claimed(transactions)
    locked, *free = tasks
    answers = AnswerLog(transactions)

    async with engine.connect() as connection:
        await connection.execute(select(packages).where(packages.c.prepare_sn == locked).with_for_update())
        waiting = asyncio.create_task(answers.record(Told(tasks[locked], Done())))
        async with asyncio.timeout(2):
            others = await asyncio.gather(*(answers.record(Told(tasks[sn], Done())) for sn in free))
        assert not waiting.done()
    assert {settlement.ending for settlement in (await waiting, *others)} == {Ending.CLOSED}
    assert set((await stock_states(engine)).values()) == {StockState.HELD}


async def test_an_answer_that_cannot_be_recorded_fails_no_other(
    transactions: Runner, engine: AsyncEngine
) -> None:
    await asked(transactions, 5)
    tasks = await claimed(transactions)
    guilty, *others = tasks
    answers = AnswerLog(transactions)
    # More than the column holds.
    told = [Told(tasks[guilty], Refused("X" * 65, "")), *(Told(tasks[sn], Done()) for sn in others)]

    failed, *recorded = await asyncio.gather(*map(answers.record, told), return_exceptions=True)

    assert isinstance(failed, DBAPIError)
    assert [settlement.ending for settlement in recorded] == [Ending.CLOSED] * len(others)  # type: ignore[union-attr]
    assert await stock_states(engine) == {guilty: StockState.REQUESTED} | dict.fromkeys(
        others, StockState.HELD
    )
    assert await number_of(engine, INFLIGHT) == 1


async def test_a_command_whose_package_became_unreadable_is_parked_until_somebody_has_mended_the_row(
    transactions: Runner, engine: AsyncEngine
) -> None:
    [package] = await asked(transactions, 1)
    inventory = FakeInventory(stock={"A": 1000})
    damage = update(packages).values(stock_state=77)

    async def damaged() -> None:
        async with engine.begin() as connection:
            await connection.execute(damage)

    inventory.before_answer = damaged
    async with relaying(transactions, inventory):
        await reach(engine, PARKED, 1)
    async with engine.begin() as connection:
        parked = (await connection.execute(select(outbox))).one()
        await connection.execute(damage.values(stock_state=STOCK_STATE_CODES[StockState.REQUESTED]))
    inventory.before_answer = None
    await transactions.run(lambda uow: uow.outbox.put_back(parked.entry_id))
    async with relaying(transactions, inventory):
        await reach(engine, DONE, 1)

    unread = f"package {package.package_sn} cannot be read: its stock_state is 77, which nobody knows"
    assert parked.last_error == unread
    assert inventory.calls == 2 * [("reserve", package.reservation_id)]
    assert await stock_states(engine) == {package.package_sn: StockState.HELD}


async def test_many_refusals_are_recorded_together_each_with_its_release(
    transactions: Runner, engine: AsyncEngine
) -> None:
    await asked(transactions, 5)
    tasks = await claimed(transactions)
    answers = AnswerLog(transactions)

    refused = Refused("INSUFFICIENT_STOCK", "not enough stock")
    recorded = await asyncio.gather(*(answers.record(Told(task, refused)) for task in tasks.values()))

    assert all(settlement.followed for settlement in recorded)
    assert set((await stock_states(engine)).values()) == {StockState.REJECTED}
    releases = await claimed(transactions)
    assert {sn: task.reservation_id for sn, task in releases.items()} == {sn: f"{sn}:1" for sn in tasks}
    assert {task.command for task in releases.values()} == {StockCommand.RELEASE}
