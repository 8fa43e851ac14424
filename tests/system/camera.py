"""Photos as cameras make them: three formats, with the time and the place in their EXIF; and who takes them."""

import asyncio
import io
import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import grpc
from holdfast.delivery.v1 import evidence_pb2, package_pb2
from PIL import ExifTags, Image

from devtools.journey import CALL_SECONDS, Journey, Parties, upload_messages

FORMATS = ("JPEG", "PNG", "WEBP")


@dataclass(frozen=True)
class Shot:
    """One photo, and what it says of itself."""

    content: bytes
    media_type: str
    size: tuple[int, int]
    capture_time: datetime
    latitude: int
    """Whole degrees north."""


def shot(seed: str, number: int) -> Shot:
    """The photo of a seed: always the same; `number` chooses the format."""
    chosen = random.Random(seed)
    size = chosen.randrange(40, 80), chosen.randrange(30, 60)
    taken = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(seconds=chosen.randrange(10**6))
    latitude = chosen.randrange(1, 60)
    exif = Image.Exif()
    details = exif.get_ifd(ExifTags.IFD.Exif)
    details[ExifTags.Base.DateTimeOriginal] = taken.strftime("%Y:%m:%d %H:%M:%S")
    details[ExifTags.Base.OffsetTimeOriginal] = "+00:00"
    place = exif.get_ifd(ExifTags.IFD.GPSInfo)
    place[ExifTags.GPS.GPSLatitude], place[ExifTags.GPS.GPSLatitudeRef] = (float(latitude), 0.0, 0.0), "N"
    place[ExifTags.GPS.GPSLongitude], place[ExifTags.GPS.GPSLongitudeRef] = (13.0, 0.0, 0.0), "E"
    image = Image.frombytes("RGB", size, chosen.randbytes(3 * size[0] * size[1]))
    content = io.BytesIO()
    form = FORMATS[number % len(FORMATS)]
    image.save(content, form, exif=exif.tobytes())
    return Shot(content.getvalue(), f"image/{form.lower()}", size, taken, latitude)


class Photographer(Journey):
    """Proves each step with a photo of a camera, and looks whether the service saw what is in it."""

    def __init__(self, channel: grpc.aio.Channel, parties: Parties) -> None:
        super().__init__(channel, parties)
        self._taken = 0
        self._one_more = asyncio.Condition()

    async def has_taken(self, photos: int) -> None:
        """Waits until so many were kept."""
        async with self._one_more:
            await self._one_more.wait_for(lambda: self._taken >= photos)

    async def upload(self, package_sn: str, kind: package_pb2.EvidenceKind.ValueType, role: str) -> str:
        """Uploads the photo of one step and answers its evidence_id."""
        made = shot(f"{package_sn}:{kind}", kind)
        header = evidence_pb2.EvidenceHeader(
            kind=kind, package_sn=package_sn, file_name=f"{kind}.photo", media_type=made.media_type
        )
        reply = await self.delivery.UploadEvidence(
            upload_messages(header, made.content, chunk_bytes=4096),
            metadata=self.parties.metadata(role),
            timeout=CALL_SECONDS,
        )
        kept = reply.evidence
        assert (kept.media_type, kept.width, kept.height) == (made.media_type, *made.size)
        assert kept.capture_time.ToDatetime(UTC) == made.capture_time
        assert kept.capture_place.latitude == f"{made.latitude}.000000"
        async with self._one_more:
            self._taken += 1
            self._one_more.notify_all()
        return kept.evidence_id
