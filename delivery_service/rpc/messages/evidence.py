"""Photos on the wire."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta

from google.protobuf.duration_pb2 import Duration
from holdfast.delivery.v1 import evidence_pb2 as pb
from holdfast.delivery.v1 import package_pb2

from delivery_service.application.keep_evidence import KeepEvidence
from delivery_service.domain.evidence import Evidence, Photo, PhotoCondition
from delivery_service.domain.package_event import Actor
from delivery_service.domain.workflow import EvidenceKind
from delivery_service.rpc.messages.words import EVIDENCE_KINDS, PHOTO_CONDITIONS, number
from servicekit.errors import field_invalid
from servicekit.rpc.paging import Page, requested_page
from servicekit.rpc.times import timestamp
from servicekit.rpc.validation import Violations

MOST_BYTES = 4 * 1024 * 1024
MOST_CHUNK_BYTES = 64 * 1024


async def read_header(messages: AsyncIterator[pb.UploadEvidenceRequest]) -> pb.EvidenceHeader:
    """What comes first. Raises FieldInvalid."""
    async for message in messages:
        if message.WhichOneof("part") == "header":
            return message.header
        break
    raise field_invalid([("header", "must be in the first message")])


async def read_content(messages: AsyncIterator[pb.UploadEvidenceRequest]) -> bytes:
    """All that follows the header; stops reading at the first chunk beyond a limit. Raises FieldInvalid."""
    content = bytearray()
    async for message in messages:
        if message.WhichOneof("part") != "chunk":
            raise field_invalid([("chunk", "must be in every message after the first")])
        _check_chunk(len(message.chunk), len(content))
        content += message.chunk
    if not content:
        raise field_invalid([("chunk", "at least one must follow the header")])
    return bytes(content)


def keep_evidence(header: pb.EvidenceHeader, evidence_id: str, uploader: Actor) -> KeepEvidence:
    """The command that an upload's header makes."""
    with Violations() as v:
        v.request_id(header.request_id)
        command = KeepEvidence(
            evidence_id=evidence_id,
            package_sn=v.name("header.package_sn", header.package_sn),
            kind=v.choice("header.kind", header.kind, EVIDENCE_KINDS) or EvidenceKind.PREPARATION,
            file_name=v.text("header.file_name", header.file_name, most=255),
            uploader=uploader,
        )
        v.text("header.media_type", header.media_type, most=100)
        if header.sha256 and not re.fullmatch("[0-9a-fA-F]{64}", header.sha256):
            v.add("header.sha256", "must be 64 hexadecimal characters")
        return command


def check_promises(header: pb.EvidenceHeader, photo: Photo) -> None:
    """What the header said of the bytes must be so. Raises FieldInvalid."""
    with Violations() as v:
        if header.sha256 and header.sha256.lower() != photo.sha256:
            v.add("header.sha256", f"is not that of the bytes, which is {photo.sha256}")
        if header.media_type and header.media_type != photo.media_type:
            v.add("header.media_type", f"is not that of the content, which is {photo.media_type}")


def evidence_id(request: pb.GetEvidenceRequest | pb.DownloadEvidenceRequest) -> str:
    """The evidence that a request names."""
    with Violations() as v:
        return v.name("evidence_id", request.evidence_id)


def list_evidence(request: pb.ListEvidenceRequest) -> tuple[str, EvidenceKind | None, Page]:
    """What a ListEvidence asks for."""
    with Violations() as v:
        wanted = v.name("package_sn", request.package_sn)
        kind = v.optional_choice("kind", request.kind, EVIDENCE_KINDS)
        page = requested_page(v, request)
        return wanted, kind, page


def evidence_message(evidence: Evidence) -> pb.Evidence:
    """A photo's record on the wire."""
    photo = evidence.photo
    place = None
    if photo.latitude is not None and photo.longitude is not None:
        place = pb.Place(latitude=photo.latitude, longitude=photo.longitude)
    return pb.Evidence(
        evidence_id=evidence.evidence_id,
        package_sn=evidence.package_sn,
        kind=number(EVIDENCE_KINDS, evidence.kind),
        file_name=evidence.file_name,
        media_type=photo.media_type,
        size_bytes=photo.size_bytes,
        sha256=photo.sha256,
        width=photo.width,
        height=photo.height,
        capture_time=timestamp(photo.capture_time),
        capture_offset_known=photo.capture_offset_known,
        clock_skew=_duration(evidence.clock_skew),
        capture_place=place,
        used=evidence.used,
        uploader=evidence.uploader,
        create_time=timestamp(evidence.create_time),
    )


def get_evidence_message(evidence: Evidence, condition: PhotoCondition) -> pb.GetEvidenceResponse:
    """A photo's record, and what its bytes are like."""
    return pb.GetEvidenceResponse(
        evidence=evidence_message(evidence), condition=number(PHOTO_CONDITIONS, condition)
    )


def proof_message(evidence: Evidence) -> package_pb2.Proof:
    """A photo's record as a timeline shows it."""
    photo = evidence.photo
    return package_pb2.Proof(
        evidence_id=evidence.evidence_id,
        sha256=photo.sha256,
        width=photo.width,
        height=photo.height,
        capture_time=timestamp(photo.capture_time),
        capture_offset_known=photo.capture_offset_known,
        clock_skew=_duration(evidence.clock_skew),
        latitude=photo.latitude or "",
        longitude=photo.longitude or "",
        uploader=evidence.uploader,
        create_time=timestamp(evidence.create_time),
    )


def _duration(span: timedelta | None) -> Duration | None:
    if span is None:
        return None
    duration = Duration()
    duration.FromTimedelta(span)
    return duration


def _check_chunk(size: int, before: int) -> None:
    if not 1 <= size <= MOST_CHUNK_BYTES:
        raise field_invalid([("chunk", f"must have from 1 to {MOST_CHUNK_BYTES} bytes, has {size}")])
    if before + size > MOST_BYTES:
        raise field_invalid([("chunk", f"all chunks together must have at most {MOST_BYTES} bytes")])
