"""What a stream of reservations needs beside the reservations."""

import grpc
from google.rpc import error_details_pb2, status_pb2
from holdfast.inventory.v1 import reservation_pb2 as pb

from servicekit.rpc.validation import Violations


def require_correlation_id(message: pb.ReserveStockStreamRequest) -> None:
    """Raises FieldInvalid."""
    with Violations() as v:
        v.name("correlation_id", message.correlation_id)


def refusal_message(status: grpc.Status) -> pb.ReserveStockRefusal:
    """A status in a message of a stream that goes on."""
    refusal = pb.ReserveStockRefusal(code=status.code.value[0], message=status.details)
    for _, value in status.trailing_metadata or ():
        for detail in status_pb2.Status.FromString(value).details:
            info = error_details_pb2.ErrorInfo()
            if detail.Unpack(info):
                refusal.reason = info.reason
                refusal.metadata.update(info.metadata)
    return refusal
