"""The record of a photo that an event names, made again where it was lost and the bytes are there.

The event says of which package and step it is, the name of the bytes when they were received under which id, the bytes
all the rest. Who uploaded them, and under which name of a file, nobody can say any more.
"""

from dataclasses import dataclass

from delivery_service.application.consistency_ports import Inconsistency
from delivery_service.application.photo_ports import KeptPhoto, PhotoReader, PhotoStore
from delivery_service.application.ports import UnitOfWork
from delivery_service.application.read_photo import sound_bytes
from delivery_service.application.repairing import NothingToRepair, Operator, RepairByHand, note_repair
from delivery_service.application.sweep_evidence import FOLDERS
from delivery_service.domain.evidence import Evidence, Photo, parsed_name
from delivery_service.domain.transitions import TRANSITIONS

UNKNOWN = "unknown"
_KINDS = {row.verb: row.evidence for row in TRANSITIONS if row.evidence is not None}


@dataclass(frozen=True)
class Kept:
    """What is left of a photo without a record."""

    photo: Photo
    file: KeptPhoto


async def find_kept(evidence_id: str, store: PhotoStore, reader: PhotoReader) -> Kept:
    """Looks through the whole store, as only the digest says in which folder the bytes are.

    Raises RepairByHand, PhotoUnreadable, StorageUnavailable.
    """
    for folder in FOLDERS:
        for file in await store.list_folder(folder):
            named = parsed_name(file.name)
            if named is not None and named.evidence_id == evidence_id:
                content = await sound_bytes(evidence_id, named.sha256, store)
                if content is None:
                    raise RepairByHand(
                        "the record of the photo is gone, and its bytes are damaged; a backup has both"
                    )
                return Kept(await reader.look(content), file)
    raise RepairByHand("neither a record nor bytes of the photo are there; a backup has both")


async def rebuild_record(found: Inconsistency, by: Operator, kept: Kept, uow: UnitOfWork) -> str:
    """The record, marked as proof of the event that names the photo."""
    package, sequence = await uow.packages.lock(found.facts["package_sn"]), int(found.facts["sequence"])
    if package is None or await uow.evidence.get(found.subject) is not None:
        raise NothingToRepair
    events = await uow.events.list_events(package.package_id, 1, sequence - 1)
    if not events or events[0].sequence != sequence or found.subject not in events[0].evidence_ids:
        raise NothingToRepair
    kind = _KINDS.get(events[0].verb)
    if kind is None:
        raise RepairByHand(f"the record of the photo is gone, and no step of the package: {events[0].verb}")
    record = Evidence(
        found.subject,
        package.package_sn,
        kind,
        file_name="",
        photo=kept.photo,
        used=False,
        uploader=UNKNOWN,
        create_time=kept.file.write_time,
    )
    there = await uow.evidence.add(package.package_id, record)
    if there.evidence_id != found.subject or not await uow.repairs.mark_used(found.subject, sequence):
        raise RepairByHand(
            f"the record of the photo is gone, and its bytes are those of photo {there.evidence_id}"
        )
    what = (
        f"the record of photo {found.subject} was gone and is written from its bytes and event {sequence};"
        " who uploaded it is unknown"
    )
    await note_repair(package, what, by, uow)
    return what
