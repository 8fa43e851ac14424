"""Walks a picture's own structure, without decoding it: what it claims must be borne by its bytes, up to the last.

Decoders believe size fields, skip what they do not know, and fill in what is missing. A photo that shall stand in
a dispute is looked at before any decoder: it is one still picture, its data suffice for the size that it claims,
and nothing else rides behind it.
"""

import re
import struct
import zlib
from collections.abc import Iterator

from delivery_service.domain.errors import PhotoUnreadable

MOST_SCANS = 100
"""A progressive JPEG has about ten; each one more makes a decoder go over the whole picture again."""
LEAST_BITS_A_BLOCK = 2
"""No Huffman code says less of 8 x 8 samples: one bit for their mean, one for `nothing else`."""

_PIECE = 64 * 1024
_PDF_BEGINS_WITHIN = 1024
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# x and y offset, x and y step of the seven passes of an interlaced PNG.
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_FRAMES = frozenset({0xC0, 0xC1, 0xC2, 0xC3, *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0)})
_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_END_OF_SCAN = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]")


def check_structure(content: bytes) -> None:
    """Raises PhotoUnreadable, or struct.error or IndexError where a length leads out of the bytes."""
    if _is_archive(content) or b"%PDF-" in content[:_PDF_BEGINS_WITHIN]:
        raise PhotoUnreadable("the picture is an archive or a document too")
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        _check_png(content)
    elif content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        _check_webp(content)
    elif content.startswith(b"\xff\xd8\xff"):
        _check_behind_jpeg(content[_jpeg_end(content) :])
    else:
        raise PhotoUnreadable("the content is not a JPEG, PNG or WebP picture")


def _is_archive(content: bytes) -> bool:
    """Whether a ZIP ends where the bytes end; readers find it from there, whatever stands before it."""
    at = content.rfind(b"PK\5\6")
    while at >= 0:
        record = content[at : at + 22]
        if len(record) == 22 and at + 22 + int.from_bytes(record[20:], "little") == len(content):
            return True
        at = content.rfind(b"PK\5\6", 0, at)
    return False


def is_progressive(content: bytes) -> bool:
    """Whether it is a JPEG that a decoder must keep whole in memory."""
    if not content.startswith(b"\xff\xd8"):
        return False
    return any(marker in _PROGRESSIVE for marker, _ in _segments(content))


def _check_png(content: bytes) -> None:
    inflate, wanted, had, at = zlib.decompressobj(), 0, 0, 8
    while True:
        size, kind = struct.unpack_from(">I4s", content, at)
        body = content[at + 8 : at + 8 + size]
        (checksum,) = struct.unpack_from(">I", content, at + 8 + size)
        if zlib.crc32(kind + body) != checksum:
            raise PhotoUnreadable("a part of the PNG is damaged")
        if kind == b"IHDR":
            wanted = _png_bytes(*struct.unpack(">IIBBBBB", body))
        elif kind == b"acTL":
            raise PhotoUnreadable("the picture is animated; a photo is still")
        elif kind == b"IDAT":
            had += _inflated(inflate, body, wanted - had)
        at += size + 12
        if kind == b"IEND":
            break
    if had != wanted:
        raise PhotoUnreadable("the PNG's data are not of the size that it claims")
    if at != len(content):
        raise PhotoUnreadable("there are bytes behind the picture")


def _png_bytes(
    width: int, height: int, depth: int, colour: int, _packing: int, _filter: int, interlaced: int
) -> int:
    """The size of the unpacked data: one byte more a row, which names its filter."""
    bits = depth * _SAMPLES[colour]
    if not interlaced:
        return height * (1 + (width * bits + 7) // 8)
    total = 0
    for x, y, x_step, y_step in _ADAM7:
        columns, rows = -(-(width - x) // x_step), -(-(height - y) // y_step)
        if columns > 0 and rows > 0:
            total += rows * (1 + (columns * bits + 7) // 8)
    return total


def _inflated(inflate: "zlib._Decompress", packed: bytes, most: int) -> int:
    """How much the data unpack to; it stops one byte beyond `most`, and keeps nothing."""
    had = 0
    while packed and not inflate.eof and had <= most:
        had += len(inflate.decompress(packed, min(_PIECE, most - had + 1)))
        packed = inflate.unconsumed_tail
    return had


def _check_webp(content: bytes) -> None:
    (size,) = struct.unpack_from("<I", content, 4)
    if size + 8 != len(content):
        raise PhotoUnreadable("the WebP's size is not that of its bytes")
    at = 12
    while at < len(content):
        kind, part = struct.unpack_from("<4sI", content, at)
        if kind in (b"ANIM", b"ANMF"):
            raise PhotoUnreadable("the picture is animated; a photo is still")
        at += 8 + part + part % 2
    if at != len(content):
        raise PhotoUnreadable("a part of the WebP leads out of it")


def _segments(content: bytes) -> Iterator[tuple[int, int]]:
    """(marker, where its segment begins) of the first picture of a JPEG, up to its end marker."""
    at = 2
    while True:
        if content[at] != 0xFF:
            raise PhotoUnreadable("a part of the JPEG leads to nowhere")
        marker = content[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        yield marker, at + 2
        if marker == 0xD9:
            return
        (size,) = struct.unpack_from(">H", content, at + 2)
        at += 2 + size
        if marker == 0xDA:
            end = _END_OF_SCAN.search(content, at)
            if end is None:
                raise PhotoUnreadable("the JPEG ends before its picture does")
            at = end.start()


def _jpeg_end(content: bytes) -> int:
    """Where the first picture ends."""
    scans, first_scan, blocks, end = 0, 0, 0, 0
    for marker, at in _segments(content):
        end = at
        if marker in _FRAMES:
            blocks = _blocks(content, at) if marker not in _PROGRESSIVE else 0
        elif marker == 0xDA:
            first_scan = first_scan or at
            scans += 1
            if scans > MOST_SCANS:
                raise PhotoUnreadable(f"the JPEG has more than {MOST_SCANS} scans")
    if not first_scan or (end - first_scan) * 8 < blocks * LEAST_BITS_A_BLOCK:
        raise PhotoUnreadable("the JPEG's data are less than the size that it claims needs")
    return end


def _blocks(content: bytes, at: int) -> int:
    """How many blocks of 8 x 8 samples a frame has, all its components together."""
    height: int
    width: int
    height, width, components = struct.unpack_from(">HHB", content, at + 3)
    factors = [content[at + 9 + 3 * index] for index in range(components)]
    across, down = max(factor >> 4 for factor in factors), max(factor & 15 for factor in factors)
    units = -(-width // (8 * across)) * -(-height // (8 * down))
    return units * sum((factor >> 4) * (factor & 15) for factor in factors)


def _check_behind_jpeg(rest: bytes) -> None:
    """Cameras put more pictures, a short film, their maker's notes or zeros behind a photo; nothing else may be."""
    stripped = rest.lstrip(b"\0")
    film = stripped[4:8] == b"ftyp" or rest[4:8] == b"ftyp"
    if stripped and not (stripped.startswith(b"\xff\xd8\xff") or film or rest.endswith(b"SEFT")):
        raise PhotoUnreadable("there are bytes behind the picture that are no picture")
