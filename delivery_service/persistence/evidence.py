"""What is known of photos; their bytes are elsewhere."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, delete, exists, insert, select, tuple_, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from delivery_service.domain.errors import EvidenceAlreadyUsed
from delivery_service.domain.evidence import Evidence, Photo
from delivery_service.domain.workflow import EvidenceKind
from delivery_service.persistence.fixed import Fixed
from delivery_service.persistence.round_trips import RoundTrips
from delivery_service.persistence.tables import evidence as table
from servicekit.persistence.conflicts import duplicate_key

RENEWED_AFTER = timedelta(days=1)

_USE = Fixed(
    update(table)
    .where(table.c.evidence_id == bindparam("of_id"), table.c.used_sha256.is_(None))
    .values(used_sha256=table.c.sha256),
    ["used_sequence"],
)


class SqlEvidence:
    """Evidence over one connection."""

    def __init__(self, connection: AsyncConnection, trips: RoundTrips) -> None:
        self._connection = connection
        self._trips = trips

    async def get(self, evidence_id: str) -> Evidence | None:
        """One photo's record."""
        found = await self.list_by_ids([evidence_id])
        return found[0] if found else None

    async def list_by_ids(self, evidence_ids: Collection[str]) -> list[Evidence]:
        """Those that exist."""
        return await self._load(table.c.evidence_id.in_(evidence_ids))

    async def add(self, package_id: int, evidence: Evidence) -> Evidence:
        """Inserts first; where the content is known already, the first record answers, and is as good as new."""
        photo = evidence.photo
        try:
            await self._connection.execute(
                insert(table).values(
                    evidence_id=evidence.evidence_id,
                    package_id=package_id,
                    package_sn=evidence.package_sn,
                    kind=evidence.kind.value,
                    file_name=evidence.file_name,
                    **_values(photo),
                    uploader=evidence.uploader,
                    create_time=evidence.create_time,
                )
            )
        except IntegrityError as error:
            if duplicate_key(error) is None:
                raise
        same = and_(
            table.c.package_id == package_id,
            table.c.kind == evidence.kind.value,
            table.c.sha256 == photo.sha256,
        )
        kept = (await self._load(same))[0]
        if kept.create_time >= evidence.create_time - RENEWED_AFTER:
            # Not each time: those who upload the same at once would wait for each other in a circle.
            return kept
        # Whoever uploads it means to use it: from now on it has its whole time again.
        unused = and_(table.c.evidence_id == kept.evidence_id, table.c.used_sha256.is_(None))
        await self._connection.execute(update(table).where(unused).values(create_time=evidence.create_time))
        return (await self._load(same))[0]

    async def use(self, evidence: Collection[Evidence], sequence: int) -> None:
        """The unique key on the used digest lets one transition win, also between packages."""
        for item in sorted(evidence, key=lambda item: item.photo.sha256):
            try:
                [used] = await self._trips.send(_USE(of_id=item.evidence_id, used_sequence=sequence))
            except IntegrityError as error:
                if duplicate_key(error) is None or error.statement != _USE.text:
                    raise
                raise EvidenceAlreadyUsed((item.evidence_id,)) from error
            if used.count != 1:
                raise EvidenceAlreadyUsed((item.evidence_id,))

    async def remove_unused(self, before: datetime, most: int) -> list[Evidence]:
        """By the index on what is unused; rows that a transition has in hand are left for later."""
        old = select(table.c.evidence_id).where(table.c.used_sha256.is_(None), table.c.create_time < before)
        locked = await self._connection.execute(
            old.order_by(table.c.create_time).limit(most).with_for_update(skip_locked=True)
        )
        ids = list(locked.scalars())
        if not ids:
            return []
        removed = await self.list_by_ids(ids)
        await self._connection.execute(delete(table).where(table.c.evidence_id.in_(ids)))
        return removed

    async def correct(self, evidence_id: str, photo: Photo) -> bool:
        """By the primary key, under the row's lock."""
        mine = table.c.evidence_id == evidence_id
        row = (await self._connection.execute(select(table).where(mine).with_for_update())).one_or_none()
        if row is None or _photo(row) == photo:
            return False
        await self._connection.execute(update(table).where(mine).values(**_values(photo)))
        return True

    async def remove(self, evidence_id: str) -> bool:
        """The condition is in the statement: a transition may use the photo at this moment."""
        unused = delete(table).where(table.c.evidence_id == evidence_id, table.c.used_sha256.is_(None))
        return (await self._connection.execute(unused)).rowcount == 1

    async def known(self, evidence_ids: Collection[str], digests: Collection[str]) -> set[str]:
        """By the primary key and the index on digests."""
        found: set[str] = set()
        for column, wanted in ((table.c.evidence_id, evidence_ids), (table.c.sha256, digests)):
            if wanted:
                rows = await self._connection.execute(select(column).where(column.in_(wanted)).distinct())
                found.update(rows.scalars())
        return found

    async def same_bytes(self, sha256: str) -> list[Evidence]:
        """By the index on digests."""
        return await self._load(table.c.sha256 == sha256)

    async def page(self, after: str, size: int) -> list[Evidence]:
        """By keyset on the primary key."""
        rows = await self._connection.execute(
            select(table, table.c.used_sha256.is_not(None).label("used"))
            .where(table.c.evidence_id > after)
            .order_by(table.c.evidence_id)
            .limit(size)
        )
        return [_evidence(row) for row in rows]

    async def list_evidence(
        self, package_id: int, kind: EvidenceKind | None, size: int, before: tuple[datetime, str] | None
    ) -> list[Evidence]:
        """By keyset on time and id, newest first."""
        condition: ColumnElement[bool] = table.c.package_id == package_id
        if kind is not None:
            condition = and_(condition, table.c.kind == kind.value)
        if before is not None:
            condition = and_(condition, tuple_(table.c.create_time, table.c.evidence_id) < before)
        return await self._load(condition, size)

    async def _load(self, condition: ColumnElement[bool], size: int | None = None) -> list[Evidence]:
        other = table.alias()
        used = exists().where(other.c.used_sha256 == table.c.sha256).label("used")
        statement = (
            select(table, used)
            .where(condition)
            .order_by(table.c.create_time.desc(), table.c.evidence_id.desc())
            .limit(size)
        )
        return [_evidence(row) for row in await self._connection.execute(statement)]


def _values(photo: Photo) -> dict[str, Any]:
    return {
        "media_type": photo.media_type,
        "size_bytes": photo.size_bytes,
        "sha256": photo.sha256,
        "width": photo.width,
        "height": photo.height,
        "capture_time": photo.capture_time,
        "capture_offset_known": photo.capture_offset_known,
        "latitude": photo.latitude,
        "longitude": photo.longitude,
    }


def _photo(row: Any) -> Photo:
    return Photo(
        row.sha256,
        row.media_type,
        row.size_bytes,
        row.width,
        row.height,
        row.capture_time,
        None if row.latitude is None else str(row.latitude),
        None if row.longitude is None else str(row.longitude),
        bool(row.capture_offset_known),
    )


def _evidence(row: Any) -> Evidence:
    return Evidence(
        row.evidence_id,
        row.package_sn,
        EvidenceKind(row.kind),
        row.file_name,
        _photo(row),
        bool(row.used),
        row.uploader,
        row.create_time,
    )
