"""Compares the records of photos with their bytes, both ways; in memory there are a few photos at most."""

import asyncio
from collections.abc import AsyncIterator

from delivery_service.application.consistency_ports import Drift, Inconsistency
from delivery_service.application.photo_ports import PhotoReader, PhotoStore
from delivery_service.application.ports import Transactions, UnitOfWork
from delivery_service.application.read_photo import sound_bytes
from delivery_service.application.sweep_evidence import FOLDERS, strays_of
from delivery_service.domain.errors import PhotoUnreadable, StorageUnavailable
from delivery_service.domain.evidence import Evidence

PAGE = 200
AT_ONCE = 4


async def check_photos(
    transactions: Transactions, store: PhotoStore, reader: PhotoReader
) -> AsyncIterator[Inconsistency]:
    """Records whose bytes are missing or damaged or say something else, and bytes older than a day without a record.

    Every photo is read whole: that takes as long as the store needs to hand all of them out.
    """
    try:
        async for found in _records(transactions, store, reader):
            yield found
        for folder in FOLDERS:
            for name in await strays_of(transactions, store, folder):
                yield Inconsistency(Drift.STRAY_BYTES, name, "bytes that no evidence names", {})
    except StorageUnavailable as error:
        description = "unknown: the store of photos could not be read, so nothing is known about the rest"
        yield Inconsistency(Drift.UNKNOWN, "photos", description, {"error": str(error)})


async def _records(
    transactions: Transactions, store: PhotoStore, reader: PhotoReader
) -> AsyncIterator[Inconsistency]:
    after = ""
    while True:

        async def page(uow: UnitOfWork, after: str = after) -> list[Evidence]:
            return await uow.evidence.page(after, PAGE)

        photos = await transactions.read(page)
        if not photos:
            return
        after = photos[-1].evidence_id
        for start in range(0, len(photos), AT_ONCE):
            some = photos[start : start + AT_ONCE]
            for found in await asyncio.gather(*(_compare(photo, store, reader) for photo in some)):
                if found is not None and await _is_there(found.subject, transactions):
                    yield found


async def _compare(photo: Evidence, store: PhotoStore, reader: PhotoReader) -> Inconsistency | None:
    content = await sound_bytes(photo.evidence_id, photo.photo.sha256, store)
    if content is None:
        return _found(Drift.PHOTO, photo, "the bytes of a photo are missing or damaged")
    try:
        told = await reader.look(content)
    except PhotoUnreadable:
        # As it was uploaded, when less was asked of pictures.
        return None
    if told != photo.photo:
        return _found(Drift.RECORD, photo, "the record of a photo says something else than its bytes")
    return None


async def _is_there(evidence_id: str, transactions: Transactions) -> bool:
    """A record that was swept meanwhile needs no bytes."""
    return await transactions.read(lambda uow: uow.evidence.get(evidence_id)) is not None


def _found(drift: Drift, photo: Evidence, description: str) -> Inconsistency:
    return Inconsistency(
        drift,
        photo.evidence_id,
        description,
        {
            "package_sn": photo.package_sn,
            "kind": photo.kind,
            "sha256": photo.photo.sha256,
            "used": str(photo.used).lower(),
        },
    )
