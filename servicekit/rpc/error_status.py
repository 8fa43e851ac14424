"""The one door through which an error leaves: exception → google.rpc.Status with details."""

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Any
from urllib.parse import quote

import grpc
from google.protobuf import any_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from servicekit.errors import STATUSES, FieldInvalid

# gRPC puts the status into HTTP/2 trailers. Peers bound these, to 8 KiB by default, and answer something else
# instead of a larger status. On the wire a byte of a message may become three (percent-encoding); three bytes of
# the status, which bears the message too, become four (base64).
_MOST_WIRE_BYTES = 7900
_MOST_MESSAGE_BYTES = 500
_MOST_FACTS_BYTES = 1500
_MOST_TEXT_BYTES = 200
_REST_BYTES = 60
_SPARE_BYTES = 250

Details = Mapping[type[Exception], Callable[[Any], Message]]
"""How to say an error's facts in a message of the contract; its first field is the list of what failed."""


class ErrorStatuses:
    """Turns a service's refusals, and the kit's, into rich statuses of one error domain."""

    def __init__(
        self, domain: str, statuses: Mapping[type[Exception], grpc.StatusCode], details: Details | None = None
    ) -> None:
        self._domain = domain
        self._statuses = {**STATUSES, **statuses}
        self._details = details or {}

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
        # Beside a message of the contract the prose is short: what programs read comes first.
        told = self._details.get(type(error))
        typed = [told(error)] if told else []
        info = self._info(reason(error), _facts(error, _MOST_TEXT_BYTES if typed else _MOST_FACTS_BYTES))
        message = _clipped(str(error), _MOST_TEXT_BYTES if typed else _MOST_MESSAGE_BYTES)
        return self._build(code, message, [info, *typed, *_standard_details(code, error)])

    def _info(self, reason: str, metadata: Mapping[str, str]) -> error_details_pb2.ErrorInfo:
        return error_details_pb2.ErrorInfo(reason=reason, domain=self._domain, metadata=metadata)

    def _build(self, code: grpc.StatusCode, message: str, details: Iterable[Message]) -> grpc.Status:
        status = status_pb2.Status(code=code.value[0], message=message)
        room = (_MOST_WIRE_BYTES - len(quote(message, safe=" "))) * 3 // 4 - len(message.encode())
        for detail in details:
            packed = any_pb2.Any()
            packed.Pack(_shortened(detail, room))
            room -= packed.ByteSize()
            status.details.append(packed)
        return rpc_status.to_status(status)


def reason(error: Exception) -> str:
    """An error's name on the wire."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(error).__name__).upper()


def _facts(error: Exception, room: int = _MOST_FACTS_BYTES) -> dict[str, str]:
    if not dataclasses.is_dataclass(error) or isinstance(error, FieldInvalid):
        return {}
    values = {field.name: getattr(error, field.name) for field in dataclasses.fields(error)}
    facts = {}
    for name, value in values.items():
        if value is not None:
            facts[name] = _clipped(_fact(value), room)
            room -= len(facts[name].encode())
    return facts


def _fact(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    return ", ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)


def _standard_details(code: grpc.StatusCode, error: Exception) -> Iterable[Message]:
    if isinstance(error, FieldInvalid):
        violations = [
            error_details_pb2.BadRequest.FieldViolation(
                field=_clipped(v.field), description=_clipped(v.description)
            )
            for v in error.violations
        ]
        yield error_details_pb2.BadRequest(field_violations=violations)
    elif code in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.ALREADY_EXISTS):
        kind = re.sub(r"_(NOT_FOUND|EXISTS)$", "", reason(error)).lower()
        yield error_details_pb2.ResourceInfo(
            resource_type=kind, resource_name=_clipped(_first_fact(error)), description=_clipped(str(error))
        )
    further: Iterable[Exception] = getattr(error, "also", ())
    if code is grpc.StatusCode.FAILED_PRECONDITION or further:
        yield error_details_pb2.PreconditionFailure(
            violations=[
                error_details_pb2.PreconditionFailure.Violation(
                    type=reason(each), subject=_clipped(subject), description=_clipped(description)
                )
                for each in (error, *further)
                for subject, description in _violations(each)
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


def _clipped(text: str, most_bytes: int = _MOST_TEXT_BYTES) -> str:
    raw = text.encode()
    return text if len(raw) <= most_bytes else raw[: max(most_bytes - 3, 0)].decode(errors="ignore") + "…"


def _shortened(detail: Any, room: int) -> Message:
    """Drops violations from the end until the detail fits; the last one then says how many are missing.

    A message of the contract leaves room for that sentence, and is dropped from only where its list is too long
    by itself.
    """
    if isinstance(detail, error_details_pb2.BadRequest):
        left_out = _drop_beyond(detail.field_violations, room)
        if left_out:
            detail.field_violations.add(field="…", description=f"{left_out} more violations")
    elif isinstance(detail, error_details_pb2.PreconditionFailure):
        left_out = _drop_beyond(detail.violations, room)
        if left_out:
            detail.violations.add(subject="…", description=f"{left_out} more violations")
    elif detail.DESCRIPTOR.file.package != "google.rpc":
        _drop_beyond(getattr(detail, detail.DESCRIPTOR.fields[0].name), room - _SPARE_BYTES)
    return detail  # type: ignore[no-any-return]


def _drop_beyond(violations: Any, room: int) -> int:
    """Keeps as many as fit beside a last one about the rest; answers how many were dropped."""
    sizes = accumulate(violation.ByteSize() + 3 for violation in violations)
    fitting = sum(size <= room - _REST_BYTES for size in sizes)
    left_out: int = len(violations) - fitting
    del violations[fitting:]
    return left_out
