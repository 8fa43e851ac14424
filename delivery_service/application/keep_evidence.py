"""A photo is kept: its bytes first, then what is known of it, so that no evidence is ever without its photo."""

from collections.abc import Callable
from dataclasses import dataclass

from delivery_service.application.ports import PhotoReader, PhotoStore, UnitOfWork
from delivery_service.domain.errors import PackageNotFound
from delivery_service.domain.evidence import Evidence, Photo
from delivery_service.domain.workflow import EvidenceKind


@dataclass(frozen=True)
class KeepEvidence:
    """Which step of which package the photo shall prove."""

    evidence_id: str
    package_sn: str
    kind: EvidenceKind
    file_name: str
    uploader: str


async def keep_photo(
    content: bytes, reader: PhotoReader, store: PhotoStore, check: Callable[[Photo], None]
) -> Photo:
    """Looks at the bytes, lets `check` object, and stores them; outside of any transaction, as this takes time.

    A crash afterwards leaves a file that nothing names: harmless. Raises PhotoUnreadable, StorageFull.
    """
    photo = await reader.read(content)
    check(photo)
    await store.put(photo.sha256, content)
    return photo


async def keep_evidence(command: KeepEvidence, photo: Photo, uow: UnitOfWork) -> Evidence:
    """Records the photo; the same bytes for the same package and kind are the same evidence.

    Raises PackageNotFound.
    """
    package = await uow.packages.get(command.package_sn)
    if package is None:
        raise PackageNotFound(command.package_sn)
    evidence = Evidence(
        command.evidence_id,
        command.package_sn,
        command.kind,
        command.file_name,
        photo,
        used=False,
        uploader=command.uploader,
        create_time=uow.now,
    )
    return await uow.evidence.add(package.package_id, evidence)
