"""Repairs between the records of photos, their bytes, and the events that they prove."""

from delivery_service.application.consistency_ports import Inconsistency
from delivery_service.application.photo_ports import PhotoStore
from delivery_service.application.ports import Transactions, UnitOfWork
from delivery_service.application.read_photo import is_sound, sound_bytes
from delivery_service.application.repairing import NothingToRepair, Operator, RepairByHand, tell
from delivery_service.application.sweep_evidence import is_stray
from delivery_service.domain.evidence import Evidence


async def repair_proof(found: Inconsistency, by: Operator, uow: UnitOfWork) -> str:
    """Marks the photo as used by the event that names it."""
    package = await uow.packages.lock(found.facts["package_sn"])
    if package is None:
        raise NothingToRepair
    photo = await uow.evidence.get(found.subject)
    if photo is None:
        raise RepairByHand("the record of the photo is gone; upload it again for a record of the dispute")
    if not await uow.repairs.mark_used(found.subject, int(found.facts["sequence"])):
        raise RepairByHand("the same bytes are marked as proof of another event")
    what = f"photo {found.subject} is marked as proof of event {found.facts['sequence']}"
    await tell(package, what, by, uow)
    return what


async def find_copy(found: Inconsistency, store: PhotoStore, transactions: Transactions) -> bytes | None:
    """The bytes as another upload of them kept them; None where no copy is sound."""
    sha256 = found.facts["sha256"]
    if await is_sound(found.subject, sha256, store):
        raise NothingToRepair
    for other in await transactions.read(lambda uow: uow.evidence.same_bytes(sha256)):
        content = await sound_bytes(other.evidence_id, sha256, store)
        if content is not None:
            return content
    return None


async def repair_photo(
    found: Inconsistency, copy: bytes | None, store: PhotoStore, by: Operator, uow: UnitOfWork
) -> tuple[Evidence, str]:
    """Tells of the copy that is put in its place, or removes the record of a photo that proves nothing.

    The bytes themselves are put afterwards, by whoever calls.
    """
    photo = await uow.evidence.get(found.subject)
    if photo is None:
        raise NothingToRepair
    package = await uow.packages.lock(photo.package_sn)
    if copy is not None:
        what = f"the bytes of photo {photo.evidence_id} are put back from another upload of them"
    elif await uow.evidence.remove(photo.evidence_id):
        what = f"the record of photo {photo.evidence_id}, which proved nothing, is removed"
    else:
        raise RepairByHand(
            "the photo proves a transition: upload the same bytes for its package and kind again"
        )
    if package is not None:
        await tell(package, what, by, uow)
    return photo, what


async def remove_stray(
    found: Inconsistency, store: PhotoStore, transactions: Transactions, *, validate_only: bool
) -> str:
    """Looks once more whether no record names the bytes."""
    if not await is_stray(found.subject, transactions):
        raise NothingToRepair
    if not validate_only:
        await store.remove(found.subject)
    return "the bytes are removed"
