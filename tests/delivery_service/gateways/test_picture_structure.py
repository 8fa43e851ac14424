"""What claims to be a photo: still, whole, of the size it claims, and nothing else beside."""

import asyncio
import io
import os
import struct
import sys
import tracemalloc
import zlib
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from PIL import Image

from delivery_service.domain.errors import PhotoUnreadable
from delivery_service.gateways.photo_reader import PillowPhotoReader

SIZE = (40, 30)


def noise(size: tuple[int, int] = SIZE) -> Image.Image:
    return Image.frombytes("RGB", size, os.urandom(size[0] * size[1] * 3))


def saved(kind: str, image: Image.Image | None = None, **save: Any) -> bytes:
    content = io.BytesIO()
    (image or noise()).save(content, kind, **save)
    return content.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def with_words(words: Callable[[int], bytes]) -> bytes:
    """A JPEG with a comment, which is told how many bytes stand behind it."""
    content = saved("JPEG")
    text = words(len(content) - 2)
    return content[:2] + b"\xff\xfe" + struct.pack(">H", len(text) + 2) + text + content[2:]


def taller_jpeg(height: int, width: int = 40) -> bytes:
    content = bytearray(saved("JPEG"))
    frame = content.index(b"\xff\xc0")
    content[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
    return bytes(content)


def taller_png(height: int, kind: str = "RGB") -> bytes:
    content = saved("PNG", noise().convert(kind))
    header = struct.pack(">II", 40, height) + content[24:29]
    return content[:8] + chunk(b"IHDR", header) + content[33:]


def many_scans(count: int) -> bytes:
    content = saved("JPEG", progressive=True)
    scan = content.rindex(b"\xff\xda")
    return content[:scan] + content[scan:-2] * count + content[-2:]


def bomb(text: bytes = b"") -> bytes:
    """A PNG of 8,000 x 3,000 whose data unpack to more than its size."""
    header = struct.pack(">IIBBBBB", 8_000, 3_000, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + text
        + chunk(b"IDAT", zlib.compress(bytes(60_000_000), 1))
        + chunk(b"IEND", b"")
    )


FRAMES: dict[str, Any] = {"save_all": True, "append_images": [noise()]}
WHY = {
    "a JPEG claims rows that it has not": (taller_jpeg(3_000), "less than the size"),
    "a JPEG claims a giant": (taller_jpeg(65_000, 65_000), "less than the size"),
    "a PNG claims rows that it has not": (taller_png(3_000), "not of the size"),
    "a PNG claims fewer rows than it has": (taller_png(29), "not of the size"),
    "a PNG with a flipped bit": (saved("PNG")[:100] + b"\0" + saved("PNG")[101:], "PNG is damaged"),
    "a PNG without an end": (saved("PNG")[:-12], "not a whole"),
    "a JPEG without an end": (saved("JPEG")[:-2], "ends before"),
    "a WebP without an end": (saved("WEBP")[:-40], "not that of its bytes"),
    "a moving PNG": (saved("PNG", **FRAMES), "animated"),
    "a moving WebP": (saved("WEBP", **FRAMES), "animated"),
    "a JPEG with an archive behind it": (saved("JPEG") + b"PK\3\4" + bytes(30), "no picture"),
    "a JPEG with a page behind it": (saved("JPEG") + b"<script>alert(1)</script>", "no picture"),
    "a PNG with an archive behind it": (saved("PNG") + b"PK\3\4", "behind the picture"),
    "a WebP with an archive behind it": (saved("WEBP") + b"PK\3\4", "not that of its bytes"),
    "a JPEG with an archive in its maker's notes": (
        saved("JPEG") + b"PK\3\4" + bytes(30) + b"PK\5\6" + bytes(16) + b"\x04\0SEFT",
        "an archive or a document",
    ),
    "a JPEG whose words are an archive": (
        with_words(lambda behind: b"PK\5\6" + bytes(16) + behind.to_bytes(2, "little")),
        "an archive or a document",
    ),
    "a JPEG that is a document": (with_words(lambda _: b"%PDF-1.7"), "an archive or a document"),
    "a page that shows a JPEG": (b"<html>" + saved("JPEG"), "not a JPEG"),
    "a JPEG of a thousand scans": (many_scans(1_000), "more than 100 scans"),
    "a PNG that unpacks to 60 MB": (bomb(), "not of the size"),
    "a PNG whose words unpack to 8 MB": (
        saved("PNG")[:33] + chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(8_000_000), 1)) + saved("PNG")[33:],
        "not a whole",
    ),
    "a part that leads out of the bytes": (
        saved("PNG")[:33] + struct.pack(">I", 2**31) + saved("PNG")[37:],
        "not a whole|damaged",
    ),
    "a JPEG part that leads out of the bytes": (
        b"\xff\xd8\xff\xe0\xff\xff" + saved("JPEG")[6:],
        "not a whole|nowhere",
    ),
    "nothing but a beginning": (b"\xff\xd8\xff", "not a whole"),
}


@pytest.mark.parametrize(("content", "why"), WHY.values(), ids=WHY)
async def test_a_picture_that_is_not_what_it_claims_is_refused_in_little_memory(
    content: bytes, why: str
) -> None:
    tracemalloc.start()
    with pytest.raises(PhotoUnreadable, match=why):
        await PillowPhotoReader().read(content)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert most < 12 * 1024 * 1024


@pytest.mark.parametrize(
    "content",
    [
        *(saved("PNG", noise().convert(mode)) for mode in ("1", "L", "LA", "P", "RGBA", "I;16")),
        saved("JPEG", progressive=True),
        saved("JPEG", subsampling=0, restart_marker_rows=1),
        saved("JPEG", noise().convert("L")),
        saved("JPEG", noise().convert("CMYK")),
        saved("JPEG", Image.new("RGB", (4_000, 3_000))),
        saved("JPEG", Image.new("RGB", (1, 1))),
        saved("WEBP", lossless=True),
        saved("WEBP", noise().convert("RGBA"), exif=Image.Exif().tobytes() or b"Exif\0\0"),
        saved("JPEG") + bytes(16),
        saved("JPEG") + saved("JPEG", noise((4, 4))),
        saved("JPEG") + b"\0\0\0\x18ftypmp42" + bytes(40),
        saved("JPEG") + b"\0\0\1\x0aImage_UTC_Data1234SEFHSEFT",
    ],
)
async def test_what_cameras_write_is_taken(content: bytes) -> None:
    photo = await PillowPhotoReader().read(content)

    assert photo.size_bytes == len(content)


async def test_those_who_leave_make_no_room_for_more_pictures_at_once() -> None:
    content = saved("PNG", Image.new("RGB", (3_000, 3_000)))
    reader = PillowPhotoReader()
    seen = []

    for _ in range(6):
        reading = [asyncio.ensure_future(reader.read(content)) for _ in range(4)]
        await asyncio.sleep(0.05)
        seen.append(being_read())
        for one in reading:
            one.cancel()
        await asyncio.gather(*reading, return_exceptions=True)

    assert max(seen) == 2


def being_read() -> int:
    """How many threads are at a picture now."""
    count = 0
    for frame in sys._current_frames().values():
        at: FrameType | None = frame
        while at is not None and not at.f_code.co_filename.endswith("photo_reader.py"):
            at = at.f_back
        count += at is not None
    return count


async def test_an_interlaced_picture_is_measured_by_its_passes() -> None:
    """Pillow writes none: seven passes of an 8 x 8 grey picture, put together by hand."""
    rows = [(1, 1), (1, 1), (1, 2), (2, 2), (2, 4), (4, 4), (4, 8)]
    data = b"".join((b"\0" + bytes(columns)) * count for count, columns in rows)
    content = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 1))
        + chunk(b"IDAT", zlib.compress(data))
        + chunk(b"IEND", b"")
    )

    photo = await PillowPhotoReader().read(content)

    assert (photo.width, photo.height) == (8, 8)
