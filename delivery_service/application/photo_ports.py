"""What the use cases of photos need: their records, their bytes, and somebody who reads pictures."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from delivery_service.domain.evidence import Evidence, Photo
from delivery_service.domain.workflow import EvidenceKind


class EvidenceRecords(Protocol):
    """What is known of photos."""

    async def get(self, evidence_id: str) -> Evidence | None: ...

    async def list_by_ids(self, evidence_ids: Collection[str]) -> list[Evidence]: ...

    async def add(self, package_id: int, evidence: Evidence) -> Evidence:
        """Stores it; answers the first one where these bytes are there for this package and kind."""

    async def use(self, evidence: Collection[Evidence], sequence: int) -> None:
        """Marks the photos as proof of the package's event `sequence`. Raises EvidenceAlreadyUsed."""

    async def remove_unused(self, before: datetime, most: int) -> list[Evidence]:
        """Deletes photos older than this that prove nothing, oldest first; answers what they were."""

    async def correct(self, evidence_id: str, photo: Photo) -> bool:
        """Writes what the bytes tell; False where the record says so."""

    async def remove(self, evidence_id: str) -> bool:
        """Deletes a photo's record unless it proves a transition; False where it does, or is away."""

    async def known(self, evidence_ids: Collection[str], digests: Collection[str]) -> set[str]:
        """Those of the ids, and of the digests, that a record bears."""

    async def same_bytes(self, sha256: str) -> list[Evidence]:
        """Every record of these bytes."""

    async def page(self, after: str, size: int) -> list[Evidence]:
        """All records by evidence_id."""

    async def list_evidence(
        self, package_id: int, kind: EvidenceKind | None, size: int, before: tuple[datetime, str] | None
    ) -> list[Evidence]:
        """Newest first."""


@dataclass(frozen=True)
class KeptPhoto:
    """Bytes in the store; `write_time` is by the store's clock."""

    name: str
    write_time: datetime


class PhotoStore(Protocol):
    """The bytes of photos, by name. Every method raises StorageUnavailable."""

    async def put(self, name: str, content: bytes) -> None:
        """Keeps the bytes for good before it returns. Raises StorageFull."""

    async def get(self, name: str) -> bytes | None: ...

    async def remove(self, name: str) -> None:
        """Takes the bytes away; nothing where they are away already."""

    async def list_folder(self, folder: str) -> list[KeptPhoto]:
        """Everything in one of the folders `00` to `ff`."""


class PhotoReader(Protocol):
    """Tells what a photo is, from its bytes alone."""

    async def read(self, content: bytes) -> Photo:
        """Raises PhotoUnreadable."""

    async def look(self, content: bytes) -> Photo:
        """The same of bytes that were read before, without decoding them. Raises PhotoUnreadable."""
