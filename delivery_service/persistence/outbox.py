"""The outbox: commands for inventory, claimed by state and due time, one package's in their order.

A cursor over ids would lose rows that commit late, and SKIP LOCKED alone would let a package's second command
overtake its first; so what was claimed is checked once more by a plain read.
"""

import json
import uuid
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, bindparam, case, delete, exists, func, insert, null, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from delivery_service.application.stock_ports import Lease, NewCommand, StuckCommand, Task
from delivery_service.domain.reservation import StockCommand
from delivery_service.domain.workflow import PackageState
from delivery_service.persistence.codes import STATE_CODES
from delivery_service.persistence.fixed import Fixed
from delivery_service.persistence.round_trips import RoundTrips
from delivery_service.persistence.tables import outbox, packages
from servicekit import traces

PENDING, INFLIGHT, DONE, PARKED = range(4)


_NEW = (
    "event_id",
    "package_id",
    "package_sn",
    "command",
    "payload",
    "trace",
    "state",
    "attempts",
    "next_attempt_time",
    "create_time",
)
_ADD = Fixed(
    insert(outbox).from_select(
        [*_NEW, "package_version"],
        select(
            *(bindparam(name, type_=outbox.c[name].type) for name in _NEW),
            func.coalesce(func.max(outbox.c.package_version), 0) + 1,
        ).where(outbox.c.package_id == bindparam("package_id", type_=outbox.c.package_id.type)),
    )
)
_CLOSE_RESERVES = Fixed(
    update(outbox)
    .where(
        outbox.c.package_id == bindparam("of_package"),
        outbox.c.command == StockCommand.RESERVE.value,
        outbox.c.state != DONE,
    )
    .values(state=DONE, lease_token=None, lease_until_time=None),
    ["done_time"],
)


class SqlOutbox:
    """The outbox over one connection; all times are the database's."""

    def __init__(self, connection: AsyncConnection, now: datetime, trips: RoundTrips) -> None:
        self._connection = connection
        self._now = now
        self._trips = trips

    async def add(self, commands: Collection[NewCommand]) -> None:
        """The packages' rows are locked, so each one's commands count without gaps in the order of their commits."""
        for new in commands:
            if new.command is StockCommand.RELEASE:
                # A reserve in flight may still succeed; the release leaves a tombstone against it.
                await self._trips.write(
                    _CLOSE_RESERVES(of_package=new.package.package_id, done_time=self._now)
                )
            await self._trips.write(_ADD(**self._entry(new)))

    async def take_over(self, most: int) -> int:
        """Entries whose relay died while it had them."""
        late = await self._connection.execute(
            select(outbox.c.entry_id)
            .where(outbox.c.state == INFLIGHT, outbox.c.lease_until_time < self._now)
            .limit(most)
            .with_for_update(skip_locked=True)
        )
        ids = list(late.scalars())
        if ids:
            await self._connection.execute(
                update(outbox)
                .where(outbox.c.entry_id.in_(ids))
                .values(state=PENDING, lease_token=None, lease_until_time=None, next_attempt_time=self._now)
            )
        return len(ids)

    async def claim(self, most: int, lease_seconds: float) -> list[Task]:
        """Locks due entries that no earlier unfinished one precedes, checks that again, puts a lease on them."""
        earlier = outbox.alias()
        precedes = exists().where(
            earlier.c.package_id == outbox.c.package_id,
            earlier.c.package_version < outbox.c.package_version,
            earlier.c.state != DONE,
        )
        due = select(outbox).where(outbox.c.state == PENDING, outbox.c.next_attempt_time <= self._now)
        locked = await self._connection.execute(
            due.where(~precedes)
            .order_by(outbox.c.next_attempt_time, outbox.c.entry_id)
            .limit(most)
            .with_for_update(skip_locked=True)
        )
        rows = locked.all()
        if not rows:
            return []
        ids = [row.entry_id for row in rows]
        checked = await self._connection.execute(
            select(outbox.c.entry_id).where(outbox.c.entry_id.in_(ids), ~precedes)
        )
        first = set(checked.scalars())
        token = uuid.uuid4().hex
        await self._connection.execute(
            update(outbox)
            .where(outbox.c.entry_id.in_(first))
            .values(
                state=INFLIGHT,
                lease_token=token,
                lease_until_time=self._now + timedelta(seconds=lease_seconds),
                attempts=outbox.c.attempts + 1,
            )
        )
        tasks = []
        for row in rows:
            if row.entry_id in first:
                payload = json.loads(row.payload)
                tasks.append(
                    Task(
                        row.entry_id,
                        row.package_sn,
                        StockCommand(row.command),
                        payload["reservation_id"],
                        payload["lines"],
                        row.trace,
                        token,
                        row.attempts + 1,
                        payload.get("traceparent", ""),
                    )
                )
        return tasks

    async def lock_leased(self, tasks: Collection[Task]) -> set[Lease]:
        """By the primary key. The token is read under the lock: it may have become another relay's by then."""
        entries = outbox.c.entry_id.in_(sorted(task.entry_id for task in tasks))
        rows = await self._connection.execute(
            select(outbox.c.entry_id, outbox.c.lease_token)
            .where(entries, outbox.c.state == INFLIGHT)
            .order_by(outbox.c.entry_id)
            .with_for_update()
        )
        return {task.lease for task in tasks} & {(row.entry_id, row.lease_token) for row in rows}

    async def done(self, tasks: Collection[Task]) -> None:
        """One statement for all."""
        await self._end_leases(tasks, state=DONE, done_time=self._now, last_error=None)

    async def try_later(self, delays: Sequence[tuple[Task, str, float]]) -> None:
        """One statement for all."""
        due = {task.entry_id: self._now + timedelta(seconds=seconds) for task, _, seconds in delays}
        errors = {task.entry_id: error[:500] for task, error, _ in delays}
        tasks = [task for task, _, _ in delays]
        await self._end_leases(
            tasks, state=PENDING, next_attempt_time=_by_entry(due), last_error=_by_entry(errors)
        )

    async def park(self, refused: Sequence[tuple[Task, str]]) -> None:
        """One statement for all; each blocks its own package only."""
        errors = {task.entry_id: error[:500] for task, error in refused}
        await self._end_leases([task for task, _ in refused], state=PARKED, last_error=_by_entry(errors))

    async def unfinished(self, package_ids: Collection[int]) -> set[int]:
        """By the unique key on package and version."""
        if not package_ids:
            return set()
        rows = await self._connection.execute(
            select(outbox.c.package_id).where(outbox.c.package_id.in_(package_ids), outbox.c.state != DONE)
        )
        return set(rows.scalars())

    async def lock_stuck(self, entry_id: int, overdue: timedelta) -> StuckCommand | None:
        """By the primary key."""
        late = or_(outbox.c.state == PARKED, outbox.c.create_time < self._now - overdue)
        row = (
            await self._connection.execute(
                select(outbox)
                .where(outbox.c.entry_id == entry_id, outbox.c.state != DONE, late)
                .with_for_update()
            )
        ).one_or_none()
        if row is None:
            return None
        return StuckCommand(
            StockCommand(row.command), json.loads(row.payload)["reservation_id"], row.state == PARKED
        )

    async def put_back(self, entry_id: int) -> None:
        """A relay that has it loses its lease; what it sends is sent twice, which inventory knows."""
        await self._update(entry_id, state=PENDING, next_attempt_time=self._now)

    async def close(self, entry_id: int) -> None:
        """The last error stays to be read."""
        await self._update(entry_id, state=DONE, done_time=self._now)

    async def forget_done(self, age: timedelta, most: int) -> int:
        """Deletes closed entries older than `age`; the newest of a package that goes on stays and keeps its count.

        What stayed for ever would stand before the rest, and be read again each time.
        """
        later = outbox.alias()
        followed = exists().where(
            later.c.package_id == outbox.c.package_id, later.c.package_version > outbox.c.package_version
        )
        # A scalar: MariaDB would gather the ids of all packages that ended before it looks at one entry.
        status = select(packages.c.prepare_status).where(packages.c.id == outbox.c.package_id)
        ended = status.scalar_subquery() >= STATE_CODES[PackageState.COMPLETED]
        old = await self._connection.execute(
            select(outbox.c.entry_id)
            .where(
                outbox.c.state == DONE,
                outbox.c.next_attempt_time < self._now - age,
                or_(followed, ended),
            )
            .order_by(outbox.c.next_attempt_time)
            .limit(most)
            .with_for_update(skip_locked=True)
        )
        ids = list(old.scalars())
        if ids:
            await self._connection.execute(delete(outbox).where(outbox.c.entry_id.in_(ids)))
        return len(ids)

    def _entry(self, new: NewCommand) -> dict[str, object]:
        package = new.package
        payload: dict[str, object] = {"reservation_id": package.reservation_id, "lines": package.lines()}
        if traceparent := traces.here():
            payload["traceparent"] = traceparent
        return {
            "event_id": uuid.uuid4().hex,
            "package_id": package.package_id,
            "package_sn": package.package_sn,
            "command": new.command.value,
            "payload": json.dumps(payload),
            "trace": new.trace,
            "state": PENDING,
            "attempts": 0,
            "next_attempt_time": self._now,
            "create_time": self._now,
        }

    async def _end_leases(self, tasks: Collection[Task], **values: object) -> None:
        if tasks:
            statement = update(outbox).where(outbox.c.entry_id.in_([task.entry_id for task in tasks]))
            await self._connection.execute(
                statement.values(lease_token=None, lease_until_time=None, **values)
            )

    async def _update(self, entry_id: int, **values: object) -> None:
        statement = update(outbox).where(outbox.c.entry_id == entry_id)
        await self._connection.execute(statement.values(lease_token=None, lease_until_time=None, **values))


def _by_entry(values: Mapping[int, object]) -> ColumnElement[Any]:
    return case(values, value=outbox.c.entry_id) if values else null()
