"""A caller that speaks HTTP/2 by hand, and so can do what no client of gRPC does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

DATA, HEADERS, RESET, SETTINGS = 0, 1, 3, 4
ACKNOWLEDGED = END_OF_STREAM = 1
END_OF_HEADERS = 4
REFUSED_STREAM = (7).to_bytes(4, "big")


def window(size: int) -> bytes:
    """The setting INITIAL_WINDOW_SIZE (RFC 9113, 6.5.2): so many bytes of an answer its sender takes beside headers."""
    return (4).to_bytes(2, "big") + size.to_bytes(4, "big")


class RawPeer:
    """One connection, past its preface."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def call(self, stream: int, method: str, message: bytes | None = None) -> None:
        """Begins a call; with a message, which ends what the caller has to say."""
        fields = {":path": method, "content-type": "application/grpc"}
        self._writer.write(_frame(HEADERS, END_OF_HEADERS, stream, _headers(fields)))
        if message is not None:
            content = b"\x00" + len(message).to_bytes(4, "big") + message
            self._writer.write(_frame(DATA, END_OF_STREAM, stream, content))

    async def read(self) -> tuple[int, int, bytes]:
        """The next frame's kind, stream and payload."""
        head = await self._reader.readexactly(9)
        payload = await self._reader.readexactly(int.from_bytes(head[:3], "big"))
        return head[3], int.from_bytes(head[5:], "big"), payload

    async def read_until(self, kind: int, seconds: float = 10) -> tuple[int, int, bytes]:
        """The next frame of that kind."""
        async with asyncio.timeout(seconds):
            while (read := await self.read())[0] != kind:
                pass
        return read

    def send(self, kind: int, flags: int, payload: bytes = b"") -> None:
        """Sends a frame of the connection's own."""
        self._writer.write(_frame(kind, flags, 0, payload))


@asynccontextmanager
async def raw_peer(address: str, settings: bytes = b"") -> AsyncIterator[RawPeer]:
    """A connection to the server at 127.0.0.1, told these settings."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(address.rpartition(":")[2]))
    peer = RawPeer(reader, writer)
    writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _frame(SETTINGS, 0, 0, settings))
    await peer.read_until(SETTINGS)
    peer.send(SETTINGS, ACKNOWLEDGED)
    try:
        yield peer
    finally:
        writer.close()


def _frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """A frame of HTTP/2 (RFC 9113, 4.1)."""
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def _headers(fields: dict[str, str]) -> bytes:
    """Headers as literals that no table knows (RFC 7541, 6.2.2)."""
    pairs = {":method": "POST", ":scheme": "http", ":authority": "x", "te": "trailers"} | fields
    return b"".join(
        b"\x00" + bytes((len(name),)) + name.encode() + bytes((len(text),)) + text.encode()
        for name, text in pairs.items()
    )
