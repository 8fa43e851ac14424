"""Tells from the bytes alone whether they are a picture, how large, and when and where it was taken."""

import asyncio
import hashlib
import io
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from PIL import ExifTags, Image

from delivery_service.domain.errors import PhotoUnreadable
from delivery_service.domain.evidence import Photo
from delivery_service.gateways.picture_structure import check_structure, is_progressive

MOST_PIXELS = 50_000_000
MOST_PIXELS_IN_MEMORY = 25_000_000
"""Of pictures that can only be decoded whole; a sequential JPEG is decoded at an eighth of its size."""
MOST_PIXELS_OF_WEBP = 12_500_000
"""Its decoder keeps four such pictures at once."""
FORMATS = ("JPEG", "PNG", "WEBP")
# MPO is what Pillow finds out of a JPEG that holds more pictures behind the first, as phones write them.
MEDIA_TYPES = {"JPEG": "image/jpeg", "MPO": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}
AT_ONCE = 2


class PillowPhotoReader:
    """Opens pictures within bounds: three formats, so many pixels, so many at a time."""

    def __init__(self) -> None:
        # Threads of its own are the bound: one goes on with its picture when the caller leaves.
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="pictures")

    async def read(self, content: bytes) -> Photo:
        """Raises PhotoUnreadable for bytes that no viewer would show."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, _read, content)

    async def look(self, content: bytes) -> Photo:
        """Raises PhotoUnreadable; nothing is decoded."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, _look, content)


def _read(content: bytes) -> Photo:
    with _no_other_exceptions():
        check_structure(content)
        _decode(content)
        return _look(content)


def _look(content: bytes) -> Photo:
    with _no_other_exceptions(), Image.open(io.BytesIO(content), formats=FORMATS) as image:
        (width, height), media_type = image.size, MEDIA_TYPES[image.format or ""]
    exif = _exif(content)
    latitude, longitude = _place(exif)
    capture_time, offset_known = _capture_time(exif)
    return Photo(
        hashlib.sha256(content).hexdigest(),
        media_type,
        len(content),
        width,
        height,
        capture_time,
        latitude,
        longitude,
        offset_known,
    )


@contextmanager
def _no_other_exceptions() -> Iterator[None]:
    """Decoders meet hostile bytes with all kinds of exceptions; only PhotoUnreadable leaves."""
    try:
        with warnings.catch_warnings():
            # Sizes are checked here; a warning that depends on the process's state would not be a check.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            yield
    except PhotoUnreadable:
        raise
    except Exception as error:
        raise PhotoUnreadable("the content is not a whole JPEG, PNG or WebP picture") from error


def _decode(content: bytes) -> None:
    with Image.open(io.BytesIO(content), formats=FORMATS) as image:
        width, height = image.size
        most = MOST_PIXELS_IN_MEMORY
        if image.format == "WEBP":
            most = MOST_PIXELS_OF_WEBP
        elif image.format != "PNG" and not is_progressive(content):
            most = MOST_PIXELS
        if width * height > most:
            raise PhotoUnreadable(f"the picture has {width} x {height} pixels; at most {most} are read")
        # For a JPEG: decode all of it, but small.
        image.draft("RGB", (256, 256))
        image.load()


def _exif(content: bytes) -> Image.Exif | None:
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            return image.getexif()
    except Exception:
        # A picture with a broken EXIF block is still a picture.
        return None


def _capture_time(exif: Image.Exif | None) -> tuple[datetime | None, bool]:
    """When it was taken, and whether the camera said on which offset from UTC its clock was."""
    if exif is None:
        return None, False
    try:
        details = exif.get_ifd(ExifTags.IFD.Exif)
        text = _text(details[ExifTags.Base.DateTimeOriginal])
        offset = _text(details.get(ExifTags.Base.OffsetTimeOriginal, ""))
        taken = datetime.strptime(f"{text} {offset or '+00:00'}", "%Y:%m:%d %H:%M:%S %z").astimezone(UTC)
    except Exception:
        return None, False
    return (taken, bool(offset)) if 1970 <= taken.year <= 9000 else (None, False)


def _text(value: object) -> str:
    return str(value).strip("\x00 ")


def _place(exif: Image.Exif | None) -> tuple[str | None, str | None]:
    if exif is None:
        return None, None
    try:
        gps = exif.get_ifd(ExifTags.IFD.GPSInfo)
        latitude = _degrees(gps[ExifTags.GPS.GPSLatitude], gps[ExifTags.GPS.GPSLatitudeRef] == "S")
        longitude = _degrees(gps[ExifTags.GPS.GPSLongitude], gps[ExifTags.GPS.GPSLongitudeRef] == "W")
    except Exception:
        return None, None
    if not (abs(latitude) <= 90 and abs(longitude) <= 180):
        return None, None
    return f"{latitude:.6f}", f"{longitude:.6f}"


def _degrees(parts: Any, negative: bool) -> float:
    degrees, minutes, seconds = (float(part) for part in parts)
    value = degrees + minutes / 60 + seconds / 3600
    # Rounded as it is kept, and never a zero with a sign.
    return round(-value if negative else value, 6) + 0.0
