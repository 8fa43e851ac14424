"""Instants as the contracts write them."""

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def timestamp(time: datetime | None) -> Timestamp | None:
    """The instant, to the microsecond; None, which leaves the field absent, for none."""
    if time is None:
        return None
    # Timestamp.FromDatetime does the same in four times the time, and an answer has several.
    since = time - _EPOCH
    return Timestamp(seconds=since.days * 86_400 + since.seconds, nanos=since.microseconds * 1000)
