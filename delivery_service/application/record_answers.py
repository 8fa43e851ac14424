"""The relay's last step: what inventory answered about many packages is written down in one transaction."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum, auto

from delivery_service.application.ports import UnitOfWork
from delivery_service.application.stock_ports import Answer, Done, Lease, NewCommand, Task, TryLater
from delivery_service.domain.errors import PackageUnreadable
from delivery_service.domain.package import Package
from delivery_service.domain.reservation import StockCommand
from delivery_service.domain.settlement import rejected, settled
from delivery_service.domain.workflow import StockState
from servicekit.crash_points import crash_point

FIRST_PAUSE_SECONDS = 0.2
MOST_PAUSE_SECONDS = 15.0
"""However long inventory was away, a command that waits for it goes out soon after its return."""
MOST_ASKED_SECONDS = 300.0


class Ending(Enum):
    """What became of a command that was taken on lease."""

    CLOSED = auto()
    PUT_BACK = auto()
    PARKED = auto()
    LEASE_LOST = auto()


@dataclass(frozen=True)
class Told:
    """A command that inventory was told, and its answer."""

    task: Task
    answer: Answer


@dataclass(frozen=True)
class Settlement:
    """How it ended; where inventory did not do it, why; the package as it is now, if that changed.

    `wait_seconds`: the least time until the next try. `followed`: the package has another command, which this one
    kept waiting.
    """

    ending: Ending
    error: str = ""
    wait_seconds: float = 0.0
    package: Package | None = None
    followed: bool = False


async def record_answers(told: Sequence[Told], uow: UnitOfWork, *, wait: bool) -> dict[Lease, Settlement]:
    """Writes each answer down, unless its lease went to another relay meanwhile.

    Locks the packages, then the entries. An answer whose package somebody else has locked is left out, so that it
    holds up no other; one that is recorded by itself may `wait` for that lock. The command of a package that is gone,
    or cannot be read any more, is parked.
    """
    packages, unfit = await _lock([each.task.package_sn for each in told], uow, wait=wait)
    free = [each for each in told if each.task.package_sn in packages or each.task.package_sn in unfit]
    leases = await uow.outbox.lock_leased([each.task for each in free])
    ours = [each for each in free if each.task.lease in leases]
    settlements = {each.task.lease: Settlement(Ending.LEASE_LOST) for each in free}
    for each in ours:
        package_sn = each.task.package_sn
        if package_sn in unfit:
            settlements[each.task.lease] = Settlement(Ending.PARKED, unfit[package_sn])
        else:
            settlements[each.task.lease] = _settlement(each, packages[package_sn], uow.now)
    recorded = [(each.task, settlements[each.task.lease]) for each in ours]
    await _store(recorded, uow)
    return settlements | await _followed(recorded, packages, uow)


async def _lock(
    package_sns: Sequence[str], uow: UnitOfWork, *, wait: bool
) -> tuple[Mapping[str, Package], Mapping[str, str]]:
    """The packages that are locked; and of each that nothing can be written to, why."""
    if not wait:
        return await uow.packages.lock_free(package_sns), {}
    locked, unfit = {}, {}
    for package_sn in package_sns:
        try:
            package = await uow.packages.lock(package_sn)
        except PackageUnreadable as error:
            # Nobody but an operator can mend the row: inventory would be asked again after each lease.
            unfit[package_sn] = str(error)
        else:
            if package is None:
                unfit[package_sn] = "the package is gone"
            else:
                locked[package_sn] = package
    return locked, unfit


def _settlement(told: Told, package: Package, now: datetime) -> Settlement:
    """What the answer means for the command and the package."""
    task, answer = told.task, told.answer
    if isinstance(answer, TryLater):
        return Settlement(Ending.PUT_BACK, answer.error, answer.wait_seconds)
    if isinstance(answer, Done):
        after = settled(package, task.command, task.reservation_id, now)
    elif task.command is StockCommand.RESERVE:
        after = rejected(package, task.reservation_id, answer.reason, answer.shortages, now)
    else:
        return Settlement(Ending.PARKED, f"{answer.reason}: {answer.description}")
    return Settlement(Ending.CLOSED, package=after if after is not package else None)


async def _store(settled_tasks: Sequence[tuple[Task, Settlement]], uow: UnitOfWork) -> None:
    def ended(ending: Ending) -> list[tuple[Task, Settlement]]:
        return [(task, settlement) for task, settlement in settled_tasks if settlement.ending is ending]

    await uow.outbox.done([task for task, _ in ended(Ending.CLOSED)])
    await uow.outbox.try_later(
        [
            (task, its.error, pause_seconds(task.attempts, its.wait_seconds))
            for task, its in ended(Ending.PUT_BACK)
        ]
    )
    await uow.outbox.park([(task, its.error) for task, its in ended(Ending.PARKED)])
    changed = [(task, its.package) for task, its in settled_tasks if its.package is not None]
    await uow.packages.save_stock([package for _, package in changed])
    # A delayed copy of a refused reserve could still succeed; the release closes its id for ever.
    refused = [
        NewCommand(package, StockCommand.RELEASE, task.trace)
        for task, package in changed
        if package.stock_state is StockState.REJECTED and not package.holds_nothing
    ]
    if refused:
        async with uow.together():
            await uow.outbox.add(refused)
        crash_point("record.rejected_before_commit")


async def _followed(
    recorded: Sequence[tuple[Task, Settlement]], packages: Mapping[str, Package], uow: UnitOfWork
) -> dict[Lease, Settlement]:
    """The settlements after which another command of the package may go out."""
    closed = [(task, its) for task, its in recorded if its.ending is Ending.CLOSED]
    unfinished = await uow.outbox.unfinished([packages[task.package_sn].package_id for task, _ in closed])
    return {
        task.lease: replace(its, followed=True)
        for task, its in closed
        if packages[task.package_sn].package_id in unfinished
    }


def pause_seconds(attempts: int, wait_seconds: float = 0.0) -> float:
    """How long to wait after so many attempts: doubling, up to 15 s, a quarter more or less.

    Not less than the `wait_seconds` that inventory asks for, unless that is more than 5 minutes. While it answers
    nothing, a relay makes few calls at once (`OutboxRelay`), however many commands are due.
    """
    pause = min(FIRST_PAUSE_SECONDS * 2 ** min(attempts, 20), MOST_PAUSE_SECONDS)
    least = min(wait_seconds, MOST_ASKED_SECONDS)
    return float(max(pause * random.uniform(0.75, 1.25), least * random.uniform(1.0, 1.25)))
