"""The bytes of a photo, checked against what was uploaded."""

import hashlib

from delivery_service.application.photo_ports import PhotoStore
from delivery_service.domain.errors import EvidenceDamaged
from delivery_service.domain.evidence import Evidence, photo_name, shared_name


async def read_photo(evidence: Evidence, store: PhotoStore) -> bytes:
    """All bytes of the photo, 4 MiB at most. Raises EvidenceDamaged, StorageUnavailable."""
    content = await sound_bytes(evidence.evidence_id, evidence.photo.sha256, store)
    if content is None:
        raise EvidenceDamaged(evidence.evidence_id, evidence.photo.sha256)
    return content


async def is_sound(evidence_id: str, sha256: str, store: PhotoStore) -> bool:
    """Whether the bytes are there and as they were. Raises StorageUnavailable."""
    return await sound_bytes(evidence_id, sha256, store) is not None


async def sound_bytes(evidence_id: str, sha256: str, store: PhotoStore) -> bytes | None:
    """The bytes where they are as they were, of this upload or of an earlier build's shared copy."""
    for name in (photo_name(sha256, evidence_id), shared_name(sha256)):
        content = await store.get(name)
        if content is not None and hashlib.sha256(content).hexdigest() == sha256:
            return content
    return None
