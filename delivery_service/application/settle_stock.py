"""The relay's use cases: take due commands on lease; tell inventory one of them and record what it answered.

Taking and recording are transactions of their own; no call is made inside one.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial

from delivery_service.application.ports import Transactions, UnitOfWork
from delivery_service.application.stock_ports import Answer, Done, Inventory, Refused, Task, TryLater
from delivery_service.domain.reservation import StockCommand
from delivery_service.domain.settlement import rejected, settled
from servicekit.crash_points import crash_point

FIRST_PAUSE_SECONDS = 0.2
MOST_PAUSE_SECONDS = 300.0


class Ending(Enum):
    """What became of a command that was taken on lease."""

    CLOSED = auto()
    PUT_BACK = auto()
    PARKED = auto()
    LEASE_LOST = auto()


@dataclass(frozen=True)
class Settlement:
    """How it ended and, where inventory did not do it, why."""

    ending: Ending
    error: str = ""


async def claim_due(transactions: Transactions, most: int, lease_seconds: float) -> Sequence[Task]:
    """Takes due commands on lease, at most one a package. The lease must outlast a call to inventory."""
    tasks = await transactions.run(partial(_claim, most, lease_seconds))
    if tasks:
        crash_point("claim.after_commit")
    return tasks


async def settle(task: Task, transactions: Transactions, inventory: Inventory) -> Settlement:
    """Tells inventory the command and records its answer; one that fails is taken over after its lease."""
    answer = await _tell(task, inventory)

    async def record(uow: UnitOfWork) -> Settlement:
        return await _record(task, answer, uow)

    return await transactions.run(record, name="record")


async def _claim(most: int, lease_seconds: float, uow: UnitOfWork) -> Sequence[Task]:
    if await uow.outbox.take_over(most):
        crash_point("lease.after_takeover")
    tasks = await uow.outbox.claim(most, lease_seconds)
    if tasks:
        crash_point("claim.before_commit")
    return tasks


async def _tell(task: Task, inventory: Inventory) -> Answer:
    if task.command is StockCommand.RESERVE:
        return await inventory.reserve(task.reservation_id, task.lines, task.trace)
    if task.command is StockCommand.COMMIT:
        return await inventory.commit(task.reservation_id, task.trace)
    return await inventory.release(task.reservation_id, task.trace)


async def _record(task: Task, answer: Answer, uow: UnitOfWork) -> Settlement:
    """Writes the answer down, unless the lease went to another relay meanwhile. Locks the package first."""
    package = await uow.packages.lock(task.package_sn)
    if package is None:
        return await _park(task, "the package is gone", uow)
    if isinstance(answer, TryLater):
        kept = await uow.outbox.try_later(task, answer.error, pause_seconds(task.attempts))
        return Settlement(Ending.PUT_BACK if kept else Ending.LEASE_LOST, answer.error)
    if isinstance(answer, Refused) and task.command is not StockCommand.RESERVE:
        return await _park(task, f"{answer.reason}: {answer.description}", uow)
    if not await uow.outbox.done(task):
        return Settlement(Ending.LEASE_LOST)
    if isinstance(answer, Done):
        after = settled(package, task.command, task.reservation_id, uow.now)
    else:
        after = rejected(package, task.reservation_id, answer.reason, answer.shortages, uow.now)
    if after is not package:
        await uow.packages.save(after)
        if isinstance(answer, Refused) and not after.holds_nothing:
            # A delayed copy of the refused call could still succeed; the release closes its id for ever.
            await uow.outbox.add(after, StockCommand.RELEASE, task.trace)
            crash_point("record.rejected_before_commit")
    return Settlement(Ending.CLOSED)


async def _park(task: Task, error: str, uow: UnitOfWork) -> Settlement:
    kept = await uow.outbox.park(task, error)
    return Settlement(Ending.PARKED if kept else Ending.LEASE_LOST, error)


def pause_seconds(attempts: int) -> float:
    """How long to wait after so many attempts: doubling, up to 5 minutes, a quarter more or less."""
    pause = min(FIRST_PAUSE_SECONDS * 2 ** min(attempts, 20), MOST_PAUSE_SECONDS)
    return float(pause * random.uniform(0.75, 1.25))
