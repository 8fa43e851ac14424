"""Photos: what is taken in, what is refused, and that the bytes come back as they were."""

import asyncio
import hashlib
import io
import os
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from holdfast.delivery.v1 import evidence_pb2 as pb
from holdfast.delivery.v1 import package_pb2
from PIL import ExifTags, Image

from delivery_service.domain.evidence import photo_name
from devtools.journey import upload_messages
from servicekit.rpc import calls
from tests.delivery_service.client import MERCHANT, Delivery, Metadata, refused
from tests.delivery_service.conftest import Running

SVG = b'<svg width="9" height="9"><script>alert(1)</script></svg>'
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200)
INVALID = grpc.StatusCode.INVALID_ARGUMENT


def picture(
    kind: str = "JPEG", *, noise: bool = False, size: tuple[int, int] = (40, 30), **save: Any
) -> bytes:
    """A picture; noise does not compress."""
    if noise:
        image = Image.frombytes("RGB", size, os.urandom(size[0] * size[1] * 3))
    else:
        image = Image.new("RGB", size, tuple(os.urandom(3)))
    content = io.BytesIO()
    image.save(content, kind, **save)
    return content.getvalue()


def with_exif() -> bytes:
    """A JPEG that says when and where it was taken."""
    exif = Image.Exif()
    details = exif.get_ifd(ExifTags.IFD.Exif)
    details[ExifTags.Base.DateTimeOriginal] = "2026:02:03 14:05:06"
    details[ExifTags.Base.OffsetTimeOriginal] = "+02:00"
    gps = exif.get_ifd(ExifTags.IFD.GPSInfo)
    gps[ExifTags.GPS.GPSLatitude], gps[ExifTags.GPS.GPSLatitudeRef] = (52.0, 30.0, 0.0), "N"
    gps[ExifTags.GPS.GPSLongitude], gps[ExifTags.GPS.GPSLongitudeRef] = (13.0, 15.0, 36.0), "W"
    return picture(exif=exif)


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (picture(), "image/jpeg"),
        (picture("PNG"), "image/png"),
        (picture("WEBP"), "image/webp"),
        # Phones put a second picture into the file: the depth, or a preview.
        (picture("MPO", save_all=True, append_images=[Image.new("RGB", (8, 6))]), "image/jpeg"),
    ],
    ids=["jpeg", "png", "webp", "jpeg of two pictures"],
)
async def test_a_photo_is_kept_and_comes_back_as_it_was(
    delivery: Delivery, running: Running, content: bytes, media_type: str
) -> None:
    package = await delivery.create("DRIVER_TO_USER")

    evidence = await delivery.upload(
        package.package_sn, "PREPARATION", content, file_name="a/b.jpg", chunk=97
    )

    assert evidence.media_type == media_type
    assert (evidence.width, evidence.height, evidence.size_bytes) == (40, 30, len(content))
    assert evidence.sha256 == hashlib.sha256(content).hexdigest()
    assert (evidence.file_name, evidence.uploader, evidence.used) == ("a/b.jpg", "merchant:7", False)
    assert not evidence.HasField("capture_time")
    assert not evidence.HasField("capture_place")
    assert not evidence.HasField("clock_skew")
    assert await delivery.download(evidence.evidence_id) == content
    file = running.photos / photo_name(evidence.sha256, evidence.evidence_id)
    assert file.stat().st_mode & 0o777 == 0o600


async def test_the_camera_tells_when_and_where(delivery: Delivery) -> None:
    package = await delivery.create("DRIVER_TO_USER")

    evidence = await delivery.upload(package.package_sn, "PREPARATION", with_exif())

    assert evidence.capture_time.ToJsonString() == "2026-02-03T12:05:06Z"
    assert evidence.capture_offset_known
    skew = evidence.capture_time.ToDatetime() - evidence.create_time.ToDatetime()
    assert evidence.clock_skew.ToTimedelta() == skew
    assert (evidence.capture_place.latitude, evidence.capture_place.longitude) == ("52.500000", "-13.260000")


async def test_the_same_bytes_for_the_same_step_are_the_same_evidence(delivery: Delivery) -> None:
    package = await delivery.create("DRIVER_TO_USER")
    content = picture()

    uploads = [delivery.upload(package.package_sn, "PREPARATION", content) for _ in range(8)]
    same = {evidence.evidence_id for evidence in await asyncio.gather(*uploads)}
    other_kind = await delivery.upload(package.package_sn, "DELIVERY", content)

    assert len(same) == 1
    assert other_kind.evidence_id not in same


async def test_a_photo_that_was_used_says_so(delivery: Delivery) -> None:
    package = await delivery.create("DRIVER_TO_USER")
    photo = await delivery.upload(package.package_sn, "PREPARATION")
    await delivery.move("PreparePackage", package.package_sn, by=MERCHANT, evidence_ids=[photo.evidence_id])

    reply = await delivery.stub.GetEvidence(pb.GetEvidenceRequest(evidence_id=photo.evidence_id), timeout=10)

    assert reply.evidence.used


async def test_the_timeline_shows_what_is_known_of_each_photo(delivery: Delivery) -> None:
    package = await delivery.create("DRIVER_TO_USER")
    photo = await delivery.upload(package.package_sn, "PREPARATION", with_exif())
    await delivery.move("PreparePackage", package.package_sn, by=MERCHANT, evidence_ids=[photo.evidence_id])
    request = package_pb2.ListPackageEventsRequest(package_sn=package.package_sn)

    created, prepared = (await delivery.stub.ListPackageEvents(request, timeout=10)).events

    assert list(created.proofs) == []
    (proof,) = prepared.proofs
    same = ("evidence_id", "sha256", "width", "height", "capture_time", "capture_offset_known")
    for name in (*same, "clock_skew", "uploader", "create_time"):
        assert getattr(proof, name) == getattr(photo, name), name
    assert (proof.latitude, proof.longitude) == ("52.500000", "-13.260000")


@pytest.mark.parametrize(
    ("content", "header", "field"),
    [
        (b"this is no picture at all", {"file_name": "photo.jpg", "media_type": "image/jpeg"}, "chunk"),
        (picture()[:-200], {}, "chunk"),
        (picture("GIF"), {}, "chunk"),
        (picture("PNG", size=(10_000, 2_501)), {}, "chunk"),
        (picture("WEBP", size=(4_000, 3_126)), {}, "chunk"),
        (SVG, {"media_type": "image/svg+xml"}, "chunk"),
        (HEIC, {}, "chunk"),
        (picture("TIFF"), {}, "chunk"),
        (picture(), {"sha256": "0" * 64}, "header.sha256"),
        (picture(), {"sha256": "short"}, "header.sha256"),
        (picture(), {"media_type": "image/png"}, "header.media_type"),
        (picture(), {"file_name": "x" * 256}, "header.file_name"),
        (b"", {}, "chunk"),
    ],
    ids=[
        "text",
        "cut",
        "gif",
        "too many pixels",
        "too large a webp",
        "svg",
        "heic",
        "tiff",
        "hash",
        "no hash",
        "type",
        "name",
        "empty",
    ],
)
async def test_what_is_no_fit_picture_is_refused_and_nothing_is_kept(
    delivery: Delivery, running: Running, content: bytes, header: dict[str, Any], field: str
) -> None:
    package = await delivery.create("DRIVER_TO_USER")
    await delivery.quiet()
    files = sorted(running.photos.rglob("*"))

    refusal = await delivery.refused(delivery.upload(package.package_sn, "PREPARATION", content, **header))

    assert (refusal.code, refusal.reason) == (INVALID, "FIELD_INVALID")
    assert [violation for violation, _ in refusal.violations] == [field]
    assert sorted(running.photos.rglob("*")) == files


async def test_a_photo_of_5_mib_is_refused_with_the_limit(delivery: Delivery) -> None:
    package = await delivery.create("DRIVER_TO_USER")
    content = picture("PNG", noise=True, size=(1400, 1250))
    assert len(content) > 5 * 1024 * 1024
    await delivery.quiet()

    refusal = await delivery.refused(delivery.upload(package.package_sn, "PREPARATION", content))

    assert (refusal.code, refusal.reason) == (INVALID, "FIELD_INVALID")
    assert refusal.violations == [("chunk", "all chunks together must have at most 4194304 bytes")]


async def test_a_slow_line_has_the_time_that_its_caller_names_within_a_minute(
    delivery: Delivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = await delivery.create("MERCHANT_TO_USER")
    await delivery.quiet()
    monkeypatch.setattr(calls, "CALL_CAP_SECONDS", 0.3)
    content = picture()

    async def upload(seconds: float | None) -> pb.Evidence:
        header = header_for(package.package_sn)
        messages = slowly(upload_messages(header, content, len(content) // 3 + 1))
        return (await delivery.stub.UploadEvidence(messages, metadata=MERCHANT, timeout=seconds)).evidence

    refusal = await delivery.refused(upload(None))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED")
    kept = await upload(20)
    assert await delivery.download(kept.evidence_id) == content
    assert calls.STREAM_CAP_SECONDS == 60
    monkeypatch.setattr(calls, "STREAM_CAP_SECONDS", 0.3)
    refusal = await delivery.refused(upload(20))
    assert refusal.code == grpc.StatusCode.DEADLINE_EXCEEDED


async def slowly(
    messages: AsyncIterator[pb.UploadEvidenceRequest],
) -> AsyncIterator[pb.UploadEvidenceRequest]:
    """The messages of a line that takes its time."""
    async for message in messages:
        yield message
        await asyncio.sleep(0.2)


async def test_a_chunk_beyond_the_limit_is_refused(delivery: Delivery) -> None:
    package = await delivery.create("DRIVER_TO_USER")
    content = picture("PNG", noise=True, size=(200, 200))

    refusal = await refused(delivery.upload(package.package_sn, "PREPARATION", content, chunk=65_537))

    assert [field for field, _ in refusal.violations] == ["chunk"]


async def test_an_upload_begins_with_its_header_and_has_one(delivery: Delivery) -> None:
    async def upload(*parts: pb.UploadEvidenceRequest) -> None:
        async def send() -> AsyncIterator[pb.UploadEvidenceRequest]:
            for part in parts:
                yield part

        await delivery.stub.UploadEvidence(send(), metadata=MERCHANT, timeout=10)

    package = await delivery.create("DRIVER_TO_USER")
    chunk = pb.UploadEvidenceRequest(chunk=b"x")
    header = pb.UploadEvidenceRequest(header=header_for(package.package_sn))

    for parts, field in [
        ((), "header"),
        ((chunk,), "header"),
        ((header, header), "chunk"),
        ((header, pb.UploadEvidenceRequest()), "chunk"),
        ((header,), "chunk"),
    ]:
        refusal = await refused(upload(*parts))
        assert (refusal.code, refusal.reason) == (INVALID, "FIELD_INVALID")
        assert [violation for violation, _ in refusal.violations] == [field]


@pytest.mark.parametrize(
    ("fields", "by", "reason"),
    [
        ({"package_sn": "NONE"}, MERCHANT, "PACKAGE_NOT_FOUND"),
        ({"package_sn": "NONE"}, (), "ACTOR_MISSING"),
        ({"file_name": "x" * 256}, MERCHANT, "FIELD_INVALID"),
    ],
)
async def test_a_photo_that_nobody_wants_is_refused_before_it_travels(
    delivery: Delivery, fields: dict[str, str], by: Metadata, reason: str
) -> None:
    async def only_the_header() -> AsyncIterator[pb.UploadEvidenceRequest]:
        header = header_for("P")
        header.MergeFrom(pb.EvidenceHeader(**fields))  # type: ignore[arg-type]
        yield pb.UploadEvidenceRequest(header=header)
        await asyncio.Event().wait()

    call = delivery.stub.UploadEvidence(only_the_header(), metadata=by, timeout=5)
    refusal = await delivery.refused(call)

    assert refusal.reason == reason


def header_for(package_sn: str) -> pb.EvidenceHeader:
    return pb.EvidenceHeader(package_sn=package_sn, kind=package_pb2.EVIDENCE_KIND_PREPARATION)


async def test_evidence_of_no_package_is_refused(delivery: Delivery) -> None:
    refusal = await delivery.refused(delivery.upload("NONE", "PREPARATION"))

    assert refusal.reason == "PACKAGE_NOT_FOUND"


async def test_a_request_id_of_an_upload_covers_its_bytes(delivery: Delivery) -> None:
    package = await delivery.create("DRIVER_TO_USER")
    content = picture()
    first = await delivery.upload(package.package_sn, "PREPARATION", content, request_id="u1")

    assert await delivery.upload(package.package_sn, "PREPARATION", content, request_id="u1") == first
    refusal = await refused(delivery.upload(package.package_sn, "PREPARATION", picture(), request_id="u1"))
    assert refusal.reason == "REQUEST_ID_REUSED"


async def test_unknown_evidence_is_not_found(delivery: Delivery) -> None:
    get = await refused(delivery.stub.GetEvidence(pb.GetEvidenceRequest(evidence_id="x"), timeout=10))
    download = await refused(delivery.download("x"))

    assert (get.code, get.reason) == (grpc.StatusCode.NOT_FOUND, "EVIDENCE_NOT_FOUND")
    assert download.reason == "EVIDENCE_NOT_FOUND"


async def test_the_photos_of_a_package_are_listed_newest_first_page_by_page(delivery: Delivery) -> None:
    package = await delivery.create("DRIVER_TO_USER")
    made = [(await delivery.upload(package.package_sn, "PREPARATION")).evidence_id for _ in range(5)]
    await delivery.upload(package.package_sn, "DELIVERY")
    request = pb.ListEvidenceRequest(
        package_sn=package.package_sn, kind=package_pb2.EVIDENCE_KIND_PREPARATION, page_size=2
    )

    seen = []
    for _ in range(3):
        reply = await delivery.stub.ListEvidence(request, timeout=10)
        seen += [evidence.evidence_id for evidence in reply.evidence]
        request.page_token = reply.next_page_token

    assert seen == made[::-1]
    assert request.page_token == ""


async def test_more_photos_at_once_than_there_is_room_for_are_refused_and_the_rest_go_on(
    delivery: Delivery,
) -> None:
    package = await delivery.create("DRIVER_TO_USER")
    content = picture()
    arrived = asyncio.Event()

    async def slow() -> AsyncIterator[pb.UploadEvidenceRequest]:
        yield pb.UploadEvidenceRequest(header=header_for(package.package_sn))
        await arrived.wait()
        yield pb.UploadEvidenceRequest(chunk=content)

    slow_ones = [delivery.stub.UploadEvidence(slow(), metadata=MERCHANT, timeout=30) for _ in range(64)]
    await asyncio.sleep(0.5)

    refusal = await refused(delivery.upload(package.package_sn, "PREPARATION", content))
    arrived.set()

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_STREAMS")
    assert refusal.retry
    replies = await asyncio.gather(*slow_ones)
    assert len({reply.evidence.evidence_id for reply in replies}) == 1
    await delivery.upload(package.package_sn, "PREPARATION", content)
