"""Repairs between the records of photos, their bytes, and the events that they prove."""

from delivery_service.application.consistency_ports import Inconsistency
from delivery_service.application.photo_ports import PhotoStore
from delivery_service.application.ports import Transactions, UnitOfWork
from delivery_service.application.read_photo import is_sound, sound_bytes
from delivery_service.application.repairing import NothingToRepair, Operator, RepairByHand, note_repair
from delivery_service.application.sweep_evidence import unnamed
from delivery_service.domain.evidence import Evidence, Photo, photo_name
from delivery_service.domain.package import Package

SAMPLE = 20
"""Photos that are looked for before a record is removed because its bytes are missing."""


async def repair_proof(found: Inconsistency, by: Operator, uow: UnitOfWork) -> str:
    """Marks the photo as used by the event that names it."""
    package, sequence = await uow.packages.lock(found.facts["package_sn"]), int(found.facts["sequence"])
    if package is None:
        raise NothingToRepair
    photo = await uow.evidence.get(found.subject)
    if photo is None:
        raise NothingToRepair
    marks = await _marks(package, photo, uow)
    if sequence in marks:
        raise NothingToRepair
    if marks and await _is_named(package, marks[0], photo, uow):
        raise RepairByHand(f"events {marks[0]} and {sequence} both name the photo")
    if not await uow.repairs.mark_used(found.subject, sequence):
        raise RepairByHand("the same bytes are marked as proof of another event")
    what = f"photo {found.subject} is marked as proof of event {sequence}"
    await note_repair(package, what, by, uow)
    return what


async def repair_mark(found: Inconsistency, by: Operator, uow: UnitOfWork) -> str:
    """The mark stays, as a photo that was proof may not prove anything else; the event of the repair names it."""
    package = await uow.packages.lock(found.facts["package_sn"])
    photo = await uow.evidence.get(found.subject)
    if package is None or photo is None:
        raise NothingToRepair
    marks = await _marks(package, photo, uow)
    if not marks or await _is_named(package, marks[0], photo, uow):
        raise NothingToRepair
    last = await uow.events.last(package.package_id)
    sequence = (last.sequence if last else 0) + 1
    await uow.repairs.mark_used(found.subject, sequence)
    what = f"photo {found.subject} was marked as proof of event {marks[0]}, which does not name it, and stays used"
    await note_repair(package, what, by, uow)
    return what


async def _marks(package: Package, photo: Evidence, uow: UnitOfWork) -> list[int]:
    """The number of the event whose proof the photo is marked as, if it is."""
    marked = await uow.repairs.marked(package.package_id)
    return [sequence for sequence, photos in marked.items() if photo.evidence_id in photos]


async def _is_named(package: Package, sequence: int, photo: Evidence, uow: UnitOfWork) -> bool:
    events = await uow.events.list_events(package.package_id, 1, sequence - 1)
    return any(event.sequence == sequence and photo.evidence_id in event.evidence_ids for event in events)


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


async def check_store(found: Inconsistency, store: PhotoStore, transactions: Transactions) -> None:
    """Raises RepairByHand where bytes are missing and the store has none of some other photos either: then it is
    hardly the right one.
    """
    if await store.get(photo_name(found.facts["sha256"], found.subject)) is not None:
        return
    some = await transactions.read(lambda uow: uow.evidence.page("", SAMPLE))
    others = [photo for photo in some if photo.evidence_id != found.subject]
    for photo in others:
        if await is_sound(photo.evidence_id, photo.photo.sha256, store):
            return
    if others:
        raise RepairByHand("other photos are missing too: see whether this is the right store of photos")


async def repair_photo(found: Inconsistency, by: Operator, copy_is_there: bool, uow: UnitOfWork) -> str:
    """Tells of the copy that will be put in its place, or removes the record of a photo that proves nothing."""
    photo = await uow.evidence.get(found.subject)
    if photo is None:
        raise NothingToRepair
    package = await uow.packages.lock(photo.package_sn)
    if copy_is_there:
        what = f"the bytes of photo {photo.evidence_id} are put back from another upload of them"
    elif await uow.evidence.remove(photo.evidence_id):
        what = f"the record of photo {photo.evidence_id}, which proved nothing, is removed"
    else:
        raise RepairByHand(
            "the photo proves a transition: upload the same bytes for its package and kind again"
        )
    if package is not None:
        await note_repair(package, what, by, uow)
    return what


async def put_copy(found: Inconsistency, copy: bytes, store: PhotoStore) -> None:
    """Stores the bytes where the photo's own should be."""
    await store.put(photo_name(found.facts["sha256"], found.subject), copy)


async def repair_record(found: Inconsistency, by: Operator, photo: Photo, uow: UnitOfWork) -> str:
    """The bytes are those that were uploaded, so what they tell is the truth."""
    package = await uow.packages.lock(found.facts["package_sn"])
    if not await uow.evidence.correct(found.subject, photo):
        raise NothingToRepair
    what = f"the record of photo {found.subject} is written from its bytes"
    if package is not None:
        await note_repair(package, what, by, uow)
    return what


async def remove_stray(found: Inconsistency, uow: UnitOfWork) -> str:
    """Looks once more whether no record names the bytes, which are removed afterwards."""
    if not await unnamed([found.subject], uow):
        raise NothingToRepair
    return "the bytes are removed"
