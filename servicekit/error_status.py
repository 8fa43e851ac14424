"""The one door through which an error leaves: exception → google.rpc.Status with details."""

import dataclasses
import re
from collections.abc import Iterable, Mapping
from datetime import timedelta

import grpc
from google.protobuf import any_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from servicekit.errors import STATUSES, FieldInvalid

# gRPC puts the status into HTTP/2 trailers, which peers bound (8 KiB by default); details must stay well below.
_MOST_DETAILS_BYTES = 5000


class ErrorStatuses:
    """Turns a service's refusals, and the kit's, into rich statuses of one error domain."""

    def __init__(self, domain: str, statuses: Mapping[type[Exception], grpc.StatusCode]) -> None:
        self._domain = domain
        self._statuses = {**STATUSES, **statuses}

    def code(self, error: Exception) -> grpc.StatusCode:
        """The code of this error; INTERNAL for one that no table names."""
        return self._statuses.get(type(error), grpc.StatusCode.INTERNAL)

    def status(self, error: Exception, call_id: str) -> grpc.Status:
        """The status that the caller sees. An unknown error says nothing but the call's id."""
        code = self.code(error)
        if type(error) not in self._statuses:
            return self._build(
                code, f"internal error, call id {call_id}", [self._info("INTERNAL", {"call_id": call_id})]
            )
        details: list[Message] = [self._info(_reason(error), _facts(error)), *_standard_details(code, error)]
        return self._build(code, str(error), details)

    def _info(self, reason: str, metadata: Mapping[str, str]) -> error_details_pb2.ErrorInfo:
        return error_details_pb2.ErrorInfo(reason=reason, domain=self._domain, metadata=metadata)

    def _build(self, code: grpc.StatusCode, message: str, details: Iterable[Message]) -> grpc.Status:
        status = status_pb2.Status(code=code.value[0], message=message[:500])
        room = _MOST_DETAILS_BYTES
        for detail in details:
            packed = any_pb2.Any()
            packed.Pack(_shortened(detail, room))
            room -= packed.ByteSize()
            status.details.append(packed)
        return rpc_status.to_status(status)


def _reason(error: Exception) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(error).__name__).upper()


def _facts(error: Exception) -> dict[str, str]:
    if not dataclasses.is_dataclass(error) or isinstance(error, FieldInvalid):
        return {}
    values = {field.name: getattr(error, field.name) for field in dataclasses.fields(error)}
    return {name: _fact(value)[:1000] for name, value in values.items() if value is not None}


def _fact(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)


def _standard_details(code: grpc.StatusCode, error: Exception) -> Iterable[Message]:
    if isinstance(error, FieldInvalid):
        violations = [
            error_details_pb2.BadRequest.FieldViolation(field=v.field, description=v.description)
            for v in error.violations
        ]
        yield error_details_pb2.BadRequest(field_violations=violations)
    elif code in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.ALREADY_EXISTS):
        kind = re.sub(r"_(NOT_FOUND|EXISTS)$", "", _reason(error)).lower()
        yield error_details_pb2.ResourceInfo(
            resource_type=kind, resource_name=_first_fact(error), description=str(error)
        )
    elif code is grpc.StatusCode.FAILED_PRECONDITION:
        yield error_details_pb2.PreconditionFailure(
            violations=[
                error_details_pb2.PreconditionFailure.Violation(
                    type=_reason(error), subject=subject, description=description
                )
                for subject, description in _violations(error)
            ]
        )
    retry_after_seconds = getattr(error, "retry_after_seconds", None)
    if retry_after_seconds is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromTimedelta(timedelta(seconds=retry_after_seconds))
        yield retry


def _violations(error: Exception) -> Iterable[tuple[str, str]]:
    named = getattr(error, "violations", None)
    return named() if callable(named) else [(_first_fact(error), str(error))]


def _first_fact(error: Exception) -> str:
    return next(iter(_facts(error).values()), "")


def _shortened(detail: Message, room: int) -> Message:
    """Drops violations from the end until the detail fits; the last one kept says how many are missing."""
    if detail.ByteSize() <= room:
        return detail
    if isinstance(detail, error_details_pb2.BadRequest):
        total = len(detail.field_violations)
        while detail.ByteSize() > room - 100 and detail.field_violations:
            del detail.field_violations[-1]
        more = detail.field_violations.add()
        more.field, more.description = "…", f"{total - len(detail.field_violations) + 1} more violations"
    elif isinstance(detail, error_details_pb2.PreconditionFailure):
        total = len(detail.violations)
        while detail.ByteSize() > room - 100 and detail.violations:
            del detail.violations[-1]
        detail.violations.add(subject="…", description=f"{total - len(detail.violations)} more")
    return detail
