"""The relay's use case: take due commands on lease, tell inventory, record what it answered.

Taking and recording are transactions of their own; no call is made inside one.
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from functools import partial

from delivery_service.application.ports import (
    Answer,
    Done,
    Inventory,
    Refused,
    Task,
    Transactions,
    TryLater,
    UnitOfWork,
)
from delivery_service.domain.reservation import StockCommand
from delivery_service.domain.settlement import rejected, settled
from servicekit.crash_points import crash_point

BATCH = 16
FIRST_PAUSE_SECONDS = 0.2
MOST_PAUSE_SECONDS = 300.0


async def settle_due(
    transactions: Transactions, inventory: Inventory, notify: Callable[[str], None], lease_seconds: float
) -> bool:
    """Settles what is due, several packages at once; True where there may be more.

    `notify` is told each package whose command was recorded. The lease must outlast a call to inventory.
    """
    tasks = await transactions.run(partial(_claim, lease_seconds))
    if tasks:
        crash_point("claim.after_commit")
    settling = (_settle(task, transactions, inventory, notify) for task in tasks)
    # All of them are let finish: one that fails is taken over once its lease has run out.
    for outcome in await asyncio.gather(*settling, return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome
    return bool(tasks)


async def _claim(lease_seconds: float, uow: UnitOfWork) -> Sequence[Task]:
    if await uow.outbox.take_over(BATCH):
        crash_point("lease.after_takeover")
    tasks = await uow.outbox.claim(BATCH, lease_seconds)
    if tasks:
        crash_point("claim.before_commit")
    return tasks


async def _settle(
    task: Task, transactions: Transactions, inventory: Inventory, notify: Callable[[str], None]
) -> None:
    answer = await _tell(task, inventory)

    async def record(uow: UnitOfWork) -> None:
        await _record(task, answer, uow)

    await transactions.run(record, name="record")
    notify(task.package_sn)


async def _tell(task: Task, inventory: Inventory) -> Answer:
    if task.command is StockCommand.RESERVE:
        return await inventory.reserve(task.reservation_id, task.lines, task.trace)
    if task.command is StockCommand.COMMIT:
        return await inventory.commit(task.reservation_id, task.trace)
    return await inventory.release(task.reservation_id, task.trace)


async def _record(task: Task, answer: Answer, uow: UnitOfWork) -> None:
    """Writes the answer down, unless the lease went to another relay meanwhile. Locks the package first."""
    package = await uow.packages.lock(task.package_sn)
    if package is None:
        await uow.outbox.park(task, "the package is gone")
        return
    if isinstance(answer, TryLater):
        await uow.outbox.try_later(task, answer.error, pause_seconds(task.attempts))
        return
    if isinstance(answer, Refused) and task.command is not StockCommand.RESERVE:
        await uow.outbox.park(task, f"{answer.reason}: {answer.description}")
        return
    if not await uow.outbox.done(task):
        return
    if isinstance(answer, Done):
        after = settled(package, task.command, task.reservation_id, uow.now)
        if after is not package:
            await uow.packages.save(after)
        return
    after = rejected(package, task.reservation_id, answer.reason, answer.shortages, uow.now)
    if after is not package:
        await uow.packages.save(after)
        # A delayed copy of the refused call could still succeed; the release closes its id for ever.
        await uow.outbox.add(after, StockCommand.RELEASE, task.trace)
        crash_point("record.rejected_before_commit")


def pause_seconds(attempts: int) -> float:
    """How long to wait after so many attempts: doubling, up to 5 minutes, a quarter more or less."""
    pause = min(FIRST_PAUSE_SECONDS * 2 ** min(attempts, 20), MOST_PAUSE_SECONDS)
    return float(pause * random.uniform(0.75, 1.25))
