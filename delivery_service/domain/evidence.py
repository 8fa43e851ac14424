"""Photos, and what makes one fit to prove a transition."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from delivery_service.domain.errors import EvidenceAlreadyUsed, EvidenceMissing, EvidenceUnfit
from delivery_service.domain.package_event import Actor
from delivery_service.domain.workflow import ActorRole, EvidenceKind, Verb

# Dispatchers and the system act for all packages, so what they upload proves the steps of all parties.
_FOR_ALL = tuple(f"{role.lower()}:" for role in (ActorRole.DISPATCHER, ActorRole.SYSTEM))


@dataclass(frozen=True)
class Photo:
    """What the bytes themselves tell. Places are degrees, as decimal text with six digits.

    Where the camera did not name its offset from UTC, `capture_time` is what its clock showed, read as UTC.
    """

    sha256: str
    media_type: str
    size_bytes: int
    width: int
    height: int
    capture_time: datetime | None
    latitude: str | None
    longitude: str | None
    capture_offset_known: bool = False


class PhotoCondition(StrEnum):
    """Whether the stored bytes of a photo are those that were uploaded."""

    INTACT = "INTACT"
    DAMAGED = "DAMAGED"
    MISSING = "MISSING"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True)
class Evidence:
    """A photo kept for one step of one package. `used` means that its bytes prove a transition."""

    evidence_id: str
    package_sn: str
    kind: EvidenceKind
    file_name: str
    photo: Photo
    used: bool
    uploader: str
    create_time: datetime

    @property
    def name(self) -> str:
        """Where its bytes are kept."""
        return photo_name(self.photo.sha256, self.evidence_id)

    @property
    def clock_skew(self) -> timedelta | None:
        """How far the camera's time is ahead of ours when the photo was received; a photo taken before is behind."""
        taken = self.photo.capture_time
        return None if taken is None else taken - self.create_time


def photo_name(sha256: str, evidence_id: str) -> str:
    """Where the bytes of a photo are kept: by their digest, and apart for each upload.

    A name is made for one upload and never again, so what no record names a day later nobody is about to name.
    """
    return f"{sha256[:2]}/{sha256}.{evidence_id}"


def shared_name(sha256: str) -> str:
    """Where earlier builds kept the bytes, once for all uploads of them."""
    return f"{sha256[:2]}/{sha256}"


@dataclass(frozen=True)
class NamedPhoto:
    """What a name in the store says; `evidence_id` is empty in names of earlier builds."""

    sha256: str
    evidence_id: str


def parsed_name(name: str) -> NamedPhoto | None:
    """What the name of a photo says; None for a name that is none of ours."""
    found = re.fullmatch(r"([0-9a-f]{2})/(\1[0-9a-f]{62})(?:\.([0-9a-zA-Z-]{1,64}))?", name)
    return NamedPhoto(found[2], found[3] or "") if found else None


def check_proof(
    package_sn: str, verb: Verb, actor: Actor, kind: EvidenceKind | None, evidence: Sequence[Evidence]
) -> None:
    """Refuses photos that do not prove this verb, by this actor, of this package.

    Raises EvidenceMissing, EvidenceUnfit, EvidenceAlreadyUsed.
    """
    if kind is not None and not evidence:
        raise EvidenceMissing(package_sn, verb, kind)
    unfit = [(item.evidence_id, why) for item in evidence if (why := _unfit(item, package_sn, actor, kind))]
    if unfit:
        ids, whys = zip(*unfit, strict=True)
        raise EvidenceUnfit(ids, package_sn, verb, kind, whys)
    used = tuple(item.evidence_id for item in evidence if item.used)
    if used:
        raise EvidenceAlreadyUsed(used)
    digests = [item.photo.sha256 for item in evidence]
    repeated = tuple(item.evidence_id for item in evidence if digests.count(item.photo.sha256) > 1)
    if repeated:
        raise EvidenceAlreadyUsed(repeated)


def _unfit(item: Evidence, package_sn: str, actor: Actor, kind: EvidenceKind | None) -> str | None:
    if item.package_sn != package_sn:
        return "shows another package"
    if kind is None:
        return "no photo is needed"
    if item.kind != kind:
        return f"is of kind {item.kind}, needed is {kind}"
    if item.uploader != str(actor) and not item.uploader.startswith(_FOR_ALL):
        return f"was uploaded by {item.uploader}"
    return None
