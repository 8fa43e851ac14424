"""The bytes of a photo, checked against what was uploaded."""

import hashlib

from delivery_service.application.ports import PhotoStore
from delivery_service.domain.errors import EvidenceDamaged
from delivery_service.domain.evidence import Evidence


async def read_photo(evidence: Evidence, store: PhotoStore) -> bytes:
    """All bytes of the photo, 4 MiB at most. Raises EvidenceDamaged."""
    content = await store.get(evidence.photo.sha256)
    if content is None or hashlib.sha256(content).hexdigest() != evidence.photo.sha256:
        raise EvidenceDamaged(evidence.evidence_id, evidence.photo.sha256)
    return content
