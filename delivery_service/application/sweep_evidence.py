"""Takes away photos that prove nothing: bytes that no record names, records that nothing ever used.

A name is made for one upload, and an upload lasts a minute at most. Bytes of a day ago that no record names
are therefore those of an upload that never came to its end, and nobody is about to name them.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from delivery_service.application.photo_ports import KeptPhoto, PhotoStore
from delivery_service.application.ports import Transactions, UnitOfWork
from delivery_service.domain.evidence import parsed_name

STRAY_AGE = timedelta(days=1)
BATCH = 100
FOLDERS = tuple(f"{number:02x}" for number in range(256))
UNFINISHED = ".new-"


async def sweep_unused(transactions: Transactions, store: PhotoStore, age: timedelta) -> int:
    """Removes records older than `age` that prove nothing, then their bytes; answers how many.

    A death between the two leaves bytes without a record, which `sweep_strays` finds.
    """

    async def remove(uow: UnitOfWork) -> list[str]:
        return [photo.name for photo in await uow.evidence.remove_unused(uow.now - age, BATCH)]

    names = await transactions.run(remove)
    for name in names:
        await store.remove(name)
    return len(names)


async def sweep_strays(transactions: Transactions, store: PhotoStore, folder: str) -> int:
    """Removes the strays of one folder; answers how many."""
    strays = await strays_of(transactions, store, folder)
    for name in strays:
        await store.remove(name)
    return len(strays)


async def strays_of(transactions: Transactions, store: PhotoStore, folder: str) -> list[str]:
    """The names in a folder that are older than a day and that no record bears; others' files are none."""
    listed = await store.list_folder(folder)
    strays: list[str] = []
    for start in range(0, len(listed), BATCH):
        some = listed[start : start + BATCH]

        async def look(uow: UnitOfWork, some: Sequence[KeptPhoto] = some) -> list[str]:
            return await unnamed(_old(some, uow.now), uow)

        strays += await transactions.read(look)
    return strays


def _old(listed: Sequence[KeptPhoto], now: datetime) -> list[str]:
    return [photo.name for photo in listed if photo.write_time < now - STRAY_AGE]


async def unnamed(names: Sequence[str], uow: UnitOfWork) -> list[str]:
    """Those of the names that no record bears; others' files are none."""
    parsed = {name: parsed_name(name) for name in names}
    ids = {photo.evidence_id for photo in parsed.values() if photo and photo.evidence_id}
    digests = {photo.sha256 for photo in parsed.values() if photo and not photo.evidence_id}
    known = await uow.evidence.known(ids, digests)
    return [
        name
        for name, photo in parsed.items()
        if (photo and (photo.evidence_id or photo.sha256) not in known)
        or (photo is None and name.rpartition("/")[2].startswith(UNFINISHED))
    ]
