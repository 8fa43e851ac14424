"""Requests as they stand on the wire, for a client that sends one body again and again."""

import struct
from collections.abc import Sequence
from datetime import timedelta

from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message
from holdfast.inventory.v1 import reservation_pb2 as pb

from benchmarks.bench.wishes import FIXED_ID

TTL = timedelta(hours=1)


def framed(messages: Sequence[Message]) -> bytes:
    """A gRPC body: each message behind a byte that says "not compressed" and its length."""
    parts = [message.SerializeToString() for message in messages]
    return b"".join(struct.pack("!BI", 0, len(part)) + part for part in parts)


def reserve(skus: Sequence[str], reservation_id: str = FIXED_ID) -> pb.ReserveStockRequest:
    """One unit of each."""
    lines = [pb.ReservationLine(sku=sku, quantity=1) for sku in skus]
    return pb.ReserveStockRequest(reservation_id=reservation_id, holder="bench", lines=lines)


def recorded(sku: str) -> pb.ReserveStockRequest:
    """One unit, held for an hour, by a request whose answer is kept."""
    request = reserve([sku])
    request.ttl.FromTimedelta(TTL)
    request.request_id = FIXED_ID
    return request


def empty() -> bytes:
    """The empty call."""
    return framed([Empty()])


def stream(sku: str, messages: int) -> bytes:
    """A whole stream of reservations, one line each."""
    return framed(
        [
            pb.ReserveStockStreamRequest(correlation_id=str(number), reserve=reserve([sku]))
            for number in range(messages)
        ]
    )
