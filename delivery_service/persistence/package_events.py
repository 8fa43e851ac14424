"""The timeline of packages: rows are added and never changed."""

import json
from collections.abc import Collection
from typing import Any

from sqlalchemy import Select, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from delivery_service.domain.package_event import Actor, PackageEvent
from delivery_service.domain.workflow import ActorRole, PackageState, Verb
from delivery_service.persistence.codes import STATE_CODES, STATES
from delivery_service.persistence.fixed import Fixed
from delivery_service.persistence.round_trips import RoundTrips
from delivery_service.persistence.tables import package_events

_ADD = Fixed(insert(package_events), package_events.c.keys())


class SqlPackageEvents:
    """Events over one connection. The package's row is locked by whoever adds."""

    def __init__(self, connection: AsyncConnection, trips: RoundTrips) -> None:
        self._connection = connection
        self._trips = trips

    async def last(self, package_id: int) -> PackageEvent | None:
        """The newest event of a package."""
        columns = package_events.c
        found = await self._load(
            select(package_events)
            .where(columns.package_id == package_id)
            .order_by(columns.sequence.desc())
            .limit(1)
        )
        return found[0] if found else None

    async def add(self, package_id: int, event: PackageEvent) -> None:
        """The primary key refuses a second event of the same sequence."""
        await self._trips.write(
            _ADD(
                package_id=package_id,
                sequence=event.sequence,
                verb=event.verb.value,
                from_status=None if event.from_state is None else STATE_CODES[event.from_state],
                to_status=STATE_CODES[event.to_state],
                actor_role=event.actor.role.value,
                actor_id=event.actor.actor_id,
                driver_id=event.driver_id,
                evidence_ids=json.dumps(event.evidence_ids),
                note=event.note,
                create_time=event.create_time,
            )
        )

    async def list_events(self, package_id: int, size: int, after: int | None) -> list[PackageEvent]:
        """By keyset on the sequence, oldest first."""
        columns = package_events.c
        return await self._load(
            select(package_events)
            .where(columns.package_id == package_id, columns.sequence > (after or 0))
            .order_by(columns.sequence)
            .limit(size)
        )

    async def completed_from(self, state: PackageState, package_ids: Collection[int]) -> set[int]:
        """By the primary key; nothing is asked where no package is named."""
        if not package_ids:
            return set()
        columns = package_events.c
        found = await self._connection.execute(
            select(columns.package_id).where(
                columns.package_id.in_(sorted(package_ids)),
                columns.verb == Verb.COMPLETE.value,
                columns.from_status == STATE_CODES[state],
            )
        )
        return set(found.scalars())

    async def _load(self, statement: Select[Any]) -> list[PackageEvent]:
        return [
            PackageEvent(
                row.sequence,
                Verb(row.verb),
                None if row.from_status is None else STATES[row.from_status],
                STATES[row.to_status],
                Actor(ActorRole(row.actor_role), row.actor_id),
                row.driver_id,
                tuple(json.loads(row.evidence_ids)),
                row.note,
                row.create_time,
            )
            for row in await self._connection.execute(statement)
        ]
