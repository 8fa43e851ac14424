"""What the old application wrote, followed as revision 0012 first followed it: one code for both."""

from collections.abc import Collection, Sequence
from typing import Any

from alembic.util import load_python_file
from sqlalchemy import func, or_, select, update
from sqlalchemy.dialects.mysql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from delivery_service.persistence.codes import STATE_CODES
from delivery_service.persistence.order_lists import has_order_lists
from delivery_service.persistence.order_lists import order_ids as lists
from delivery_service.persistence.tables import legacy_write_days, package_events, packages
from servicekit.schema.migrations import Schema

_following: Any = load_python_file(Schema("delivery").location, "following.py")


class SqlLegacyWrites:
    """Writes of the old application over one connection."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def moved(self, size: int) -> list[str]:
        """By the index on the mark, which few rows bear; the oldest first, as they are followed."""
        marked = packages.c.legacy_write_time
        statement = _moved().where(marked.is_not(None)).order_by(marked, packages.c.id).limit(size)
        return list((await self._connection.execute(statement)).scalars())

    async def follow(self, size: int, moved_by_hand: Collection[str] = ()) -> int:
        """What was moved since somebody looked is seen under the lock, and marked again."""
        ids = await self._connection.run_sync(_following.pending, size)
        followed = await self._follow(ids, wait=False)
        moved = _moved().where(packages.c.id.in_(followed), packages.c.prepare_sn.not_in(list(moved_by_hand)))
        numbers = list((await self._connection.execute(moved)).scalars())
        await self._connection.execute(
            update(packages)
            .where(packages.c.prepare_sn.in_(numbers))
            .values(legacy_write_time=func.utc_timestamp(6))
        )
        return len(followed) - len(numbers)

    async def follow_orders(self, order_ids: Collection[int]) -> None:
        """A part of the text is enough to look at a list; what it says is read exactly."""
        any_write = await self._connection.run_sync(_following.pending, 1)
        if not any_write or not await has_order_lists(self._connection):
            return
        columns = packages.c
        parts = [lists.like(f"%{order_id}%") for order_id in order_ids]
        statement = select(columns.id).where(columns.legacy_write_time.is_not(None), or_(*parts))
        ids = list((await self._connection.execute(statement)).scalars())
        await self._follow(ids, wait=True)

    async def follow_package(self, package_id: int) -> None:
        """Waits for other locks."""
        await self._follow([package_id], wait=True)

    async def _follow(self, ids: Sequence[int], *, wait: bool) -> list[int]:
        if not ids:
            return []

        def follow(connection: Any) -> list[int]:
            followed: list[int] = _following.follow(connection, ids, wait=wait)
            return followed

        followed = await self._connection.run_sync(follow)
        if followed:
            day = insert(legacy_write_days).values(
                day=func.utc_date(), packages=len(followed), last_time=func.utc_timestamp(6)
            )
            await self._connection.execute(
                day.on_duplicate_key_update(
                    packages=legacy_write_days.c.packages + len(followed), last_time=func.utc_timestamp(6)
                )
            )
        return followed


def _moved() -> Any:
    events = package_events.c
    last = (
        select(func.max(events.sequence))
        .where(events.package_id == packages.c.id)
        .correlate(packages)
        .scalar_subquery()
    )
    state = func.coalesce(packages.c.prepare_status, min(STATE_CODES.values()))
    return select(packages.c.prepare_sn).join(
        package_events,
        (events.package_id == packages.c.id) & (events.sequence == last) & (events.to_status != state),
    )
