"""Photos, and what makes one fit to prove a transition."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from delivery_service.domain.errors import EvidenceAlreadyUsed, EvidenceMissing, EvidenceUnfit
from delivery_service.domain.workflow import EvidenceKind, Verb


@dataclass(frozen=True)
class Photo:
    """What the bytes themselves tell. Places are degrees, as decimal text with six digits."""

    sha256: str
    media_type: str
    size_bytes: int
    width: int
    height: int
    capture_time: datetime | None
    latitude: str | None
    longitude: str | None


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


def check_proof(package_sn: str, verb: Verb, kind: EvidenceKind | None, evidence: Sequence[Evidence]) -> None:
    """Refuses photos that do not prove this verb of this package.

    Raises EvidenceMissing, EvidenceUnfit, EvidenceAlreadyUsed.
    """
    if kind is not None and not evidence:
        raise EvidenceMissing(package_sn, verb, kind)
    unfit = [(item.evidence_id, why) for item in evidence if (why := _unfit(item, package_sn, kind))]
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


def _unfit(item: Evidence, package_sn: str, kind: EvidenceKind | None) -> str | None:
    if item.package_sn != package_sn:
        return "shows another package"
    if kind is None:
        return "no photo is needed"
    if item.kind != kind:
        return f"is of kind {item.kind}, needed is {kind}"
    return None
