"""What a caller learns from a call that did not succeed."""

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from holdfast.inventory.v1 import reservation_pb2


@dataclass(frozen=True)
class Refused:
    """An error's code and details; those that it does not bear are empty."""

    code: grpc.StatusCode
    reason: str
    metadata: Mapping[str, str]
    violations: list[tuple[str, str]]
    """(field, description) or (subject, description)."""
    resource: tuple[str, str] | None
    retry: bool
    shortages: list[tuple[str, int, int]]
    """(sku, requested, available)."""


async def refused(call: Awaitable[object], *, domain: str = "") -> Refused:
    """The refusal of a call that must not succeed; with a `domain`, one that its service named."""
    try:
        answer = await call
    except grpc.aio.AioRpcError as error:
        return refusal(error, domain=domain)
    raise AssertionError(f"was not refused but answered {answer}")


def refusal(error: grpc.aio.AioRpcError, *, domain: str = "") -> Refused:
    """What an error says; with a `domain`, one that this service named."""
    found = _details(error)
    info = found.get(error_details_pb2.ErrorInfo, error_details_pb2.ErrorInfo())
    assert domain in ("", info.domain), error
    return Refused(
        error.code(),
        info.reason,
        dict(info.metadata),
        _violations(found),
        _resource(found),
        error_details_pb2.RetryInfo in found,
        _shortages(found),
    )


_KINDS: tuple[type[Message], ...] = (
    error_details_pb2.ErrorInfo,
    error_details_pb2.BadRequest,
    error_details_pb2.PreconditionFailure,
    error_details_pb2.ResourceInfo,
    error_details_pb2.RetryInfo,
    reservation_pb2.ShortageDetails,
)


def _details(error: grpc.aio.AioRpcError) -> dict[type[Message], Any]:
    status = rpc_status.from_call(error)  # type: ignore[arg-type]
    return {
        kind: kind.FromString(detail.value)
        for detail in (status.details if status else ())
        for kind in _KINDS
        if detail.Is(kind.DESCRIPTOR)
    }


def _violations(found: Mapping[type[Message], Any]) -> list[tuple[str, str]]:
    if bad := found.get(error_details_pb2.BadRequest):
        return [(violation.field, violation.description) for violation in bad.field_violations]
    if failed := found.get(error_details_pb2.PreconditionFailure):
        return [(violation.subject, violation.description) for violation in failed.violations]
    return []


def _resource(found: Mapping[type[Message], Any]) -> tuple[str, str] | None:
    info = found.get(error_details_pb2.ResourceInfo)
    return None if info is None else (info.resource_type, info.resource_name)


def _shortages(found: Mapping[type[Message], Any]) -> list[tuple[str, int, int]]:
    details = found.get(reservation_pb2.ShortageDetails, reservation_pb2.ShortageDetails())
    return [(line.sku, line.requested_quantity, line.available_quantity) for line in details.shortages]
