"""Compares the records of photos with their bytes, both ways; in memory there are a few photos at most."""

import asyncio
from collections.abc import AsyncIterator

from delivery_service.application.consistency_ports import Drift, Inconsistency
from delivery_service.application.photo_ports import PhotoStore
from delivery_service.application.ports import Transactions, UnitOfWork
from delivery_service.application.read_photo import is_sound
from delivery_service.application.sweep_evidence import FOLDERS, strays_of
from delivery_service.domain.errors import StorageUnavailable
from delivery_service.domain.evidence import Evidence

PAGE = 200
AT_ONCE = 4


async def check_photos(transactions: Transactions, store: PhotoStore) -> AsyncIterator[Inconsistency]:
    """Records whose bytes are missing or damaged, and bytes older than a day that no record names.

    Every photo is read whole: that takes as long as the store needs to hand all of them out.
    """
    try:
        async for found in _records(transactions, store):
            yield found
        for folder in FOLDERS:
            for name in await strays_of(transactions, store, folder):
                yield Inconsistency(Drift.STRAY_BYTES, name, "bytes that no evidence names", {})
    except StorageUnavailable as error:
        description = "unknown: the store of photos could not be read, so nothing is known about the rest"
        yield Inconsistency(Drift.UNKNOWN, "photos", description, {"error": str(error)})


async def _records(transactions: Transactions, store: PhotoStore) -> AsyncIterator[Inconsistency]:
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
            sound = await asyncio.gather(
                *(is_sound(photo.evidence_id, photo.photo.sha256, store) for photo in some)
            )
            for photo, well in zip(some, sound, strict=True):
                if not well and await _is_there(photo, transactions):
                    yield _lost(photo)


async def _is_there(photo: Evidence, transactions: Transactions) -> bool:
    """A record that was swept meanwhile needs no bytes."""
    return await transactions.read(lambda uow: uow.evidence.get(photo.evidence_id)) is not None


def _lost(photo: Evidence) -> Inconsistency:
    return Inconsistency(
        Drift.PHOTO,
        photo.evidence_id,
        "the bytes of a photo are missing or damaged",
        {
            "package_sn": photo.package_sn,
            "kind": photo.kind,
            "sha256": photo.photo.sha256,
            "used": str(photo.used).lower(),
        },
    )
