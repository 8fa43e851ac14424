"""Delivery's outbox in memory."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from delivery_service.application.outbox_ports import CommandState
from delivery_service.application.stock_ports import Lease, NewCommand, Task
from delivery_service.domain.reservation import StockCommand


@dataclass(frozen=True)
class Entry:
    """One command, as it stands."""

    task: Task
    """As its relay has it; `token` is empty where no relay does."""
    package_id: int
    package_version: int
    state: CommandState
    next_attempt_time: datetime
    lease_until: datetime | None = None
    last_error: str | None = None


class SimulatedOutbox:
    """The outbox over the entries of one transaction."""

    def __init__(self, entries: dict[int, Entry], now: datetime) -> None:
        self._entries = entries
        self._now = now

    async def add(self, commands: Collection[NewCommand]) -> None:
        for new in commands:
            package = new.package
            others = [entry for entry in self._entries.values() if entry.package_id == package.package_id]
            if new.command is StockCommand.RELEASE:
                for entry in others:
                    if entry.task.command is StockCommand.RESERVE and entry.state is not CommandState.DONE:
                        self._end_lease(entry, state=CommandState.DONE)
            number = len(self._entries) + 1
            self._entries[number] = Entry(
                Task(
                    number,
                    package.package_sn,
                    new.command,
                    package.reservation_id or "",
                    package.lines(),
                    new.trace,
                    token="",
                    attempts=0,
                ),
                package.package_id,
                max((entry.package_version for entry in others), default=0) + 1,
                CommandState.PENDING,
                self._now,
            )

    async def take_over(self, most: int) -> int:
        late = [
            entry
            for entry in self._entries.values()
            if entry.lease_until is not None and entry.lease_until < self._now
        ][:most]
        for entry in late:
            self._end_lease(entry, state=CommandState.PENDING, next_attempt_time=self._now)
        return len(late)

    async def claim(self, most: int, lease_seconds: float) -> list[Task]:
        blocked: set[int] = set()
        due = []
        for entry in sorted(self._entries.values(), key=lambda entry: entry.package_version):
            if entry.state is CommandState.DONE or entry.package_id in blocked:
                continue
            blocked.add(entry.package_id)
            if entry.state is CommandState.PENDING and entry.next_attempt_time <= self._now:
                due.append(entry)
        due.sort(key=lambda entry: (entry.next_attempt_time, entry.task.entry_id))
        return [self._lend(entry, lease_seconds) for entry in due[:most]]

    async def lock_leased(self, tasks: Collection[Task]) -> set[Lease]:
        return {task.lease for task in tasks if self._entries[task.entry_id].task.lease == task.lease}

    async def done(self, tasks: Collection[Task]) -> None:
        for task in tasks:
            self._end_lease(self._entries[task.entry_id], state=CommandState.DONE)

    async def try_later(self, delays: Sequence[tuple[Task, str, float]]) -> None:
        for task, error, seconds in delays:
            self._end_lease(
                self._entries[task.entry_id],
                state=CommandState.PENDING,
                last_error=error,
                next_attempt_time=self._now + timedelta(seconds=seconds),
            )

    async def park(self, refused: Sequence[tuple[Task, str]]) -> None:
        for task, error in refused:
            self._end_lease(self._entries[task.entry_id], state=CommandState.PARKED, last_error=error)

    async def unfinished(self, package_ids: Collection[int]) -> set[int]:
        return {
            entry.package_id
            for entry in self._entries.values()
            if entry.package_id in package_ids and entry.state is not CommandState.DONE
        }

    def _lend(self, entry: Entry, lease_seconds: float) -> Task:
        task = entry.task
        attempts = task.attempts + 1
        lent = replace(task, token=f"{task.entry_id}-{attempts}", attempts=attempts)
        self._entries[task.entry_id] = replace(
            entry,
            task=lent,
            state=CommandState.IN_FLIGHT,
            lease_until=self._now + timedelta(seconds=lease_seconds),
        )
        return lent

    def _end_lease(self, entry: Entry, **values: Any) -> None:
        free = replace(entry.task, token="")
        self._entries[free.entry_id] = replace(entry, task=free, lease_until=None, **values)
