"""A photo is kept: its bytes first, then what is known of it, so that no evidence is ever without its photo."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from delivery_service.application.photo_ports import PhotoReader, PhotoStore
from delivery_service.application.ports import UnitOfWork
from delivery_service.application.read_photo import is_sound
from delivery_service.domain.errors import PackageNotFound
from delivery_service.domain.evidence import Evidence, Photo, photo_name
from delivery_service.domain.package import Package
from delivery_service.domain.package_event import Actor
from delivery_service.domain.transitions import check_owner
from delivery_service.domain.workflow import EvidenceKind

_undoing: set["asyncio.Task[None]"] = set()


@dataclass(frozen=True)
class KeepEvidence:
    """Which step of which package the photo shall prove."""

    evidence_id: str
    package_sn: str
    kind: EvidenceKind
    file_name: str
    uploader: Actor


async def keep_photo(
    evidence_id: str, content: bytes, reader: PhotoReader, store: PhotoStore, check: Callable[[Photo], None]
) -> Photo:
    """Looks at the bytes, lets `check` object, and stores them; outside of any transaction, as this takes time.

    A crash afterwards leaves a file that nothing names, which is swept. Raises PhotoUnreadable, StorageFull,
    StorageUnavailable.
    """
    photo = await reader.read(content)
    check(photo)
    name = photo_name(photo.sha256, evidence_id)
    writing = asyncio.ensure_future(store.put(name, content))
    try:
        await asyncio.shield(writing)
    except asyncio.CancelledError:
        # The caller left. What is being written cannot be stopped, but it can be taken back.
        undoing = asyncio.create_task(_undo(writing, name, store))
        _undoing.add(undoing)
        undoing.add_done_callback(_undoing.discard)
        raise
    return photo


async def check_uploader(command: KeepEvidence, uow: UnitOfWork) -> Package:
    """Only whose package it is, now, may say what a photo shows of it. Raises PackageNotFound, NotYourPackage."""
    package = await uow.packages.get(command.package_sn)
    if package is None:
        raise PackageNotFound(command.package_sn)
    check_owner(package, command.uploader)
    return package


async def keep_evidence(command: KeepEvidence, photo: Photo, uow: UnitOfWork) -> Evidence:
    """Records the photo; the same bytes for the same package and kind are the same evidence, received anew.

    Raises PackageNotFound, NotYourPackage.
    """
    package = await check_uploader(command, uow)
    evidence = Evidence(
        command.evidence_id,
        # As the package bears it: a legacy table may find it under another spelling.
        package.package_sn,
        command.kind,
        command.file_name,
        photo,
        used=False,
        uploader=str(command.uploader),
        create_time=uow.now,
    )
    return await uow.evidence.add(package.package_id, evidence)


async def keep_one_copy(
    kept_id: str, evidence_id: str, sha256: str, content: bytes, store: PhotoStore
) -> None:
    """Where an earlier upload's record answered: its copy is mended if need be, and ours is taken away."""
    if kept_id == evidence_id:
        return
    if not await is_sound(kept_id, sha256, store):
        await store.put(photo_name(sha256, kept_id), content)
    await store.remove(photo_name(sha256, evidence_id))


async def _undo(writing: "asyncio.Future[None]", name: str, store: PhotoStore) -> None:
    await asyncio.wait([writing])
    if writing.exception() is None:
        await store.remove(name)
