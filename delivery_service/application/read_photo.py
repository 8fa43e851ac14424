"""The bytes of a photo, checked against what was uploaded."""

import hashlib
from collections.abc import Collection

from delivery_service.application.photo_ports import PhotoStore
from delivery_service.application.ports import Transactions
from delivery_service.domain.errors import EvidenceDamaged, StorageUnavailable
from delivery_service.domain.evidence import Evidence, PhotoCondition, photo_name, shared_name


async def read_photo(evidence: Evidence, store: PhotoStore) -> bytes:
    """All bytes of the photo, 4 MiB at most. Raises EvidenceDamaged, StorageUnavailable."""
    content = await sound_bytes(evidence.evidence_id, evidence.photo.sha256, store)
    if content is None:
        raise EvidenceDamaged(evidence.evidence_id, evidence.photo.sha256)
    return content


async def check_proof_bytes(
    evidence_ids: Collection[str], transactions: Transactions, store: PhotoStore
) -> None:
    """Reads every photo that shall prove a step, before the step's transaction: bytes take their time.

    One that proves a step already is not read: that step may be asked for again, whatever became of its photo, and
    another refuses it. Raises EvidenceDamaged, StorageUnavailable.
    """
    for photo in await transactions.read(lambda uow: uow.evidence.list_by_ids(evidence_ids)):
        if not photo.used:
            await read_photo(photo, store)


async def condition_of(evidence: Evidence, store: PhotoStore) -> PhotoCondition:
    """What the bytes are like; nothing is known while the store cannot be read."""
    try:
        content, found = await _bytes(evidence.evidence_id, evidence.photo.sha256, store)
    except StorageUnavailable:
        return PhotoCondition.UNKNOWN
    if content is not None:
        return PhotoCondition.INTACT
    return PhotoCondition.DAMAGED if found else PhotoCondition.MISSING


async def is_sound(evidence_id: str, sha256: str, store: PhotoStore) -> bool:
    """Whether the bytes are there and as they were. Raises StorageUnavailable."""
    return await sound_bytes(evidence_id, sha256, store) is not None


async def sound_bytes(evidence_id: str, sha256: str, store: PhotoStore) -> bytes | None:
    """The bytes where they are as they were, of this upload or of an earlier build's shared copy."""
    content, _ = await _bytes(evidence_id, sha256, store)
    return content


async def _bytes(evidence_id: str, sha256: str, store: PhotoStore) -> tuple[bytes | None, bool]:
    """The sound bytes, and whether there are any at all."""
    found = False
    for name in (photo_name(sha256, evidence_id), shared_name(sha256)):
        content = await store.get(name)
        if content is not None and hashlib.sha256(content).hexdigest() == sha256:
            return content, True
        found = found or content is not None
    return None, found
