"""Instants as the contracts write them."""

from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp


def timestamp(time: datetime | None) -> Timestamp | None:
    """The instant, to the microsecond; None, which leaves the field absent, for none."""
    if time is None:
        return None
    message = Timestamp()
    message.FromDatetime(time)
    return message
