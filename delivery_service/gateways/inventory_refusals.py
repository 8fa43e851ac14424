"""What a refusal of inventory says: its reason, its sentence, every line that it is about, and how long to wait."""

from collections.abc import Mapping

import grpc
from google.rpc import error_details_pb2, status_pb2
from holdfast.inventory.v1 import reservation_pb2

from delivery_service.application.stock_ports import Refused
from delivery_service.domain.reservation import Shortage


def said(error: grpc.aio.AioRpcError) -> str:
    """The code and the sentence, short enough for a log line."""
    return f"{error.code().name}: {(error.details() or '')[:200]}"


def wait_seconds(error: grpc.aio.AioRpcError) -> float:
    """How long inventory asks to wait before the next try; 0 where it does not say."""
    retry = error_details_pb2.RetryInfo()
    for detail in _status(error).details:
        detail.Unpack(retry)
    seconds: float = retry.retry_delay.ToTimedelta().total_seconds()
    return seconds


def refusal(error: grpc.aio.AioRpcError, lines: Mapping[str, int]) -> Refused:
    """The refusal of a call about these lines."""
    info = error_details_pb2.ErrorInfo()
    short = reservation_pb2.ShortageDetails()
    failure = error_details_pb2.PreconditionFailure()
    for detail in _status(error).details:
        for known in (info, short, failure):
            detail.Unpack(known)
    shortages = {
        line.sku: Shortage(
            line.sku,
            line.requested_quantity,
            line.available_quantity,
            f"requested {line.requested_quantity}, available {line.available_quantity}",
        )
        for line in short.shortages
    }
    for sku, description in _named(info, failure).items():
        if sku in lines:
            shortages.setdefault(sku, Shortage(sku, lines[sku], None, description))
    return Refused(info.reason or error.code().name, error.details() or "", tuple(shortages.values()))


def _named(
    info: error_details_pb2.ErrorInfo, failure: error_details_pb2.PreconditionFailure
) -> dict[str, str]:
    """The lines that a refusal without numbers names, and what it says of each."""
    unknown = info.metadata.get("skus") or info.metadata.get("sku", "")
    named = dict.fromkeys(unknown.split(", "), "there is no such stock")
    return named | {violation.subject: violation.description for violation in failure.violations}


def _status(error: grpc.aio.AioRpcError) -> status_pb2.Status:
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin" and isinstance(value, bytes):
            return status_pb2.Status.FromString(value)
    return status_pb2.Status()
