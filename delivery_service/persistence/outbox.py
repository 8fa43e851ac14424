"""The outbox: commands for inventory, claimed by state and due time, one package's in their order.

A cursor over ids would lose rows that commit late, and SKIP LOCKED alone would let a package's second command
overtake its first; so what was claimed is checked once more by a plain read.
"""

import json
import uuid
from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import delete, exists, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from delivery_service.application.stock_ports import StuckCommand, Task
from delivery_service.domain.package import Package
from delivery_service.domain.reservation import StockCommand
from delivery_service.domain.workflow import PackageState
from delivery_service.persistence.codes import STATE_CODES
from delivery_service.persistence.tables import outbox, packages

PENDING, INFLIGHT, DONE, PARKED = range(4)


class SqlOutbox:
    """The outbox over one connection; all times are the database's."""

    def __init__(self, connection: AsyncConnection, now: datetime) -> None:
        self._connection = connection
        self._now = now

    async def add(self, package: Package, command: StockCommand, trace: str) -> None:
        """The package's row is locked, so its commands count without gaps in the order of their commits."""
        if command is StockCommand.RELEASE:
            await self._close_reserves(package)
        newest = select(func.coalesce(func.max(outbox.c.package_version), 0)).where(
            outbox.c.package_id == package.package_id
        )
        version = (await self._connection.execute(newest)).scalar_one() + 1
        payload = {"reservation_id": package.reservation_id, "lines": package.lines()}
        await self._connection.execute(
            insert(outbox).values(
                event_id=uuid.uuid4().hex,
                package_id=package.package_id,
                package_sn=package.package_sn,
                package_version=version,
                command=command.value,
                payload=json.dumps(payload),
                trace=trace,
                state=PENDING,
                attempts=0,
                next_attempt_time=self._now,
                create_time=self._now,
            )
        )

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
                    )
                )
        return tasks

    async def done(self, task: Task) -> bool:
        """Closes the entry under our lease."""
        return await self._release(task, state=DONE, done_time=self._now, last_error=None)

    async def try_later(self, task: Task, error: str, seconds: float) -> bool:
        """Puts the entry back under our lease."""
        due = self._now + timedelta(seconds=seconds)
        return await self._release(task, state=PENDING, next_attempt_time=due, last_error=error[:500])

    async def park(self, task: Task, error: str) -> bool:
        """Sets the entry aside under our lease; it blocks its own package only."""
        return await self._release(task, state=PARKED, last_error=error[:500])

    async def unfinished(self, package_ids: Collection[int]) -> set[int]:
        """By the unique key on package and version."""
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

    async def _release(self, task: Task, **values: object) -> bool:
        result = await self._connection.execute(
            update(outbox)
            .where(
                outbox.c.entry_id == task.entry_id,
                outbox.c.state == INFLIGHT,
                outbox.c.lease_token == task.token,
            )
            .values(lease_token=None, lease_until_time=None, **values)
        )
        return result.rowcount == 1

    async def _update(self, entry_id: int, **values: object) -> None:
        statement = update(outbox).where(outbox.c.entry_id == entry_id)
        await self._connection.execute(statement.values(lease_token=None, lease_until_time=None, **values))

    async def _close_reserves(self, package: Package) -> None:
        # A reserve in flight may still succeed; the release that follows leaves a tombstone against it.
        await self._connection.execute(
            update(outbox)
            .where(
                outbox.c.package_id == package.package_id,
                outbox.c.command == StockCommand.RESERVE.value,
                outbox.c.state != DONE,
            )
            .values(state=DONE, lease_token=None, lease_until_time=None, done_time=self._now)
        )
