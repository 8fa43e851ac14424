from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from google.protobuf import struct_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status
from holdfast.ops.v1 import ops_pb2

from servicekit import errors
from servicekit.rpc.context import Context
from servicekit.rpc.error_status import ErrorStatuses
from tests.servicekit.serving import Asked, Seen, asking, seen

MOST_TRAILER_BYTES = 8192
"""What peers accept by default; beyond it, calls fail now and then, and without any status."""


@dataclass(eq=False)
class StockNotFound(Exception):
    sku: str
    skus: tuple[str, ...] | None = None

    def __str__(self) -> str:
        return f"no stock with sku {self.sku}"


@dataclass(eq=False)
class PackageExists(Exception):
    package_sn: int


@dataclass(eq=False)
class IllegalTransition(Exception):
    verb: str
    allowed: tuple[str, ...]


class Refusal(Exception):
    also: tuple[Exception, ...] = ()


@dataclass(eq=False)
class InsufficientStock(Refusal):
    lines: tuple[str, ...]

    def __str__(self) -> str:
        return "not enough: " + "; ".join(self.lines)

    def violations(self) -> Iterable[tuple[str, str]]:
        return [(line, "requested 5, available 2") for line in self.lines]


STATUSES = ErrorStatuses(
    "shop.holdfast",
    {
        StockNotFound: grpc.StatusCode.NOT_FOUND,
        PackageExists: grpc.StatusCode.ALREADY_EXISTS,
        IllegalTransition: grpc.StatusCode.FAILED_PRECONDITION,
        InsufficientStock: grpc.StatusCode.FAILED_PRECONDITION,
    },
)
TYPED = ErrorStatuses(
    "shop.holdfast",
    {InsufficientStock: grpc.StatusCode.FAILED_PRECONDITION},
    {InsufficientStock: lambda error: _listed(error.lines)},
)


def _listed(lines: Iterable[str]) -> struct_pb2.ListValue:
    """Stands for a message of a contract."""
    return struct_pb2.ListValue(values=[struct_pb2.Value(string_value=line) for line in lines])


def details(error: Exception) -> tuple[grpc.StatusCode, dict[str, Any]]:
    status = STATUSES.status(error, "c-1")
    packed = dict(status.trailing_metadata or ())["grpc-status-details-bin"]
    rich = status_pb2.Status.FromString(packed)
    assert rich.code == status.code.value[0]
    unpacked = {}
    for detail in rich.details:
        name = detail.type_url.rpartition(".")[2]
        unpacked[name] = getattr(error_details_pb2, name)()
        detail.Unpack(unpacked[name])
    return status.code, unpacked


def test_what_is_not_found_is_named_as_a_resource() -> None:
    code, found = details(StockNotFound("AJ1-42"))

    assert code is grpc.StatusCode.NOT_FOUND
    assert found["ErrorInfo"] == error_details_pb2.ErrorInfo(
        reason="STOCK_NOT_FOUND", domain="shop.holdfast", metadata={"sku": "AJ1-42"}
    )
    assert found["ResourceInfo"] == error_details_pb2.ResourceInfo(
        resource_type="stock", resource_name="AJ1-42", description="no stock with sku AJ1-42"
    )
    assert len(found) == 2


def test_facts_are_text_and_tuples_are_joined() -> None:
    _, found = details(StockNotFound("a", ("a", "b")))

    assert dict(found["ErrorInfo"].metadata) == {"sku": "a", "skus": "a, b"}


def test_what_exists_already_is_named_as_a_resource() -> None:
    code, found = details(PackageExists(12))

    assert code is grpc.StatusCode.ALREADY_EXISTS
    assert found["ResourceInfo"].resource_type == "package"
    assert found["ResourceInfo"].resource_name == "12"


def test_a_broken_rule_is_one_violation() -> None:
    code, found = details(IllegalTransition("ship", ("cancel", "prepare")))

    assert code is grpc.StatusCode.FAILED_PRECONDITION
    assert found["ErrorInfo"].metadata["allowed"] == "cancel, prepare"
    (violation,) = found["PreconditionFailure"].violations
    assert (violation.type, violation.subject) == ("ILLEGAL_TRANSITION", "ship")


def test_each_failing_line_is_a_violation() -> None:
    _, found = details(InsufficientStock(("a", "b")))

    assert [(v.type, v.subject, v.description) for v in found["PreconditionFailure"].violations] == [
        ("INSUFFICIENT_STOCK", "a", "requested 5, available 2"),
        ("INSUFFICIENT_STOCK", "b", "requested 5, available 2"),
    ]


def test_what_else_was_refused_is_named_beside_it() -> None:
    refused = InsufficientStock(("a",))
    refused.also = (IllegalTransition("ship", ("cancel",)), InsufficientStock(("b",)))

    code, found = details(refused)

    assert code is grpc.StatusCode.FAILED_PRECONDITION
    assert found["ErrorInfo"].metadata == {"lines": "a"}
    assert [(v.type, v.subject) for v in found["PreconditionFailure"].violations] == [
        ("INSUFFICIENT_STOCK", "a"),
        ("ILLEGAL_TRANSITION", "ship"),
        ("INSUFFICIENT_STOCK", "b"),
    ]


def test_every_violation_of_a_request_is_a_field_violation() -> None:
    code, found = details(errors.field_invalid([("sku", "is required"), ("lines[2].quantity", "is 0")]))

    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert found["ErrorInfo"].reason == "FIELD_INVALID"
    assert [(v.field, v.description) for v in found["BadRequest"].field_violations] == [
        ("sku", "is required"),
        ("lines[2].quantity", "is 0"),
    ]


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (errors.ConcurrentUpdate(), 0.1),
        (errors.Overloaded(), 0.5),
        (errors.DatabaseUnavailable(), 1.0),
        (errors.Draining(), 0.2),
    ],
)
def test_what_passes_by_itself_says_when_to_come_again(error: Exception, seconds: float) -> None:
    _, found = details(error)

    assert found["RetryInfo"].retry_delay.ToTimedelta().total_seconds() == seconds


def test_what_a_blind_retry_cannot_cure_names_no_time() -> None:
    for error in (errors.RequestIdReused("r"), StockNotFound("a"), errors.DeadlineExceeded()):
        assert "RetryInfo" not in details(error)[1]


@pytest.mark.parametrize("error", errors.STATUSES, ids=lambda error: error.__name__)
def test_every_refusal_of_the_kit_has_a_code_a_reason_and_a_sentence(error: type[Exception]) -> None:
    made = {
        errors.FieldInvalid: errors.field_invalid([("a", "b")]),
        errors.RequestIdReused: errors.RequestIdReused("r"),
        errors.ActorUnknown: errors.ActorUnknown("actor-role", "x"),
        errors.CallerUnknown: errors.CallerUnknown("spiffe://a.test/shop", "b.test"),
        errors.MethodNotAllowed: errors.MethodNotAllowed("shop", "/a/B", ("C",)),
        errors.CertificateExpired: errors.CertificateExpired("shop"),
        errors.TooManyCalls: errors.TooManyCalls("shop", 4, 0.25),
        errors.ActorNotAllowed: errors.ActorNotAllowed("shop", "system", ("merchant",)),
        errors.OutboxEntryNotFound: errors.OutboxEntryNotFound(7),
    }.get(error) or error()

    code, found = details(made)

    assert code not in (grpc.StatusCode.OK, grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL)
    assert found["ErrorInfo"].reason.replace("_", "") == error.__name__.upper()
    assert " " in str(made) or made.__class__ is errors.FieldInvalid


async def as_a_caller_sees(error: Exception, times: int = 1) -> list[Seen]:
    async def refuse(request: Message, context: Context) -> Message:
        raise error

    found = []
    async with asking(refuse, statuses=STATUSES) as ask:
        for _ in range(times):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await ask(Asked(), timeout=5)
            found.append(seen(refused.value))
    return found


@pytest.mark.parametrize("letter", ["a", "ü", "箱"])
async def test_two_hundred_violations_still_reach_a_caller(letter: str) -> None:
    name = f"lines[{{}}].{letter * 30}"
    error = errors.field_invalid(
        [(name.format(n), f"must be from 1 to 9, {letter * 20}") for n in range(200)]
    )

    for refused in await as_a_caller_sees(error, times=20):
        assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
        *listed, rest = refused.details["BadRequest"].field_violations
        assert len(listed) >= 20
        assert [violation.field for violation in listed] == [name.format(n) for n in range(len(listed))]
        assert rest.description == f"{200 - len(listed)} more violations"


@pytest.mark.parametrize("letter", ["a", "箱"])
async def test_two_hundred_short_lines_still_reach_a_caller(letter: str) -> None:
    error = InsufficientStock(tuple(f"{letter * 60}-{n}" for n in range(200)))

    for refused in await as_a_caller_sees(error, times=20):
        assert refused.code is grpc.StatusCode.FAILED_PRECONDITION
        *listed, rest = refused.details["PreconditionFailure"].violations
        assert len(listed) >= 5
        assert rest.description == f"{200 - len(listed)} more violations"


@pytest.mark.parametrize("letter", ["a", "ü", "箱", "\n"])
def test_no_status_is_larger_than_peers_accept(letter: str) -> None:
    long = letter * 5000
    for error in (
        errors.field_invalid([(long, long)] * 50),
        InsufficientStock((long,) * 50),
        StockNotFound(long, (long,) * 50),
        errors.RequestIdReused(long),
    ):
        status = STATUSES.status(error, "c-1")

        assert _bytes_on_the_wire(status) < MOST_TRAILER_BYTES


def _typed(error: Exception) -> tuple[grpc.Status, struct_pb2.ListValue, list[str]]:
    status = TYPED.status(error, "c-1")
    rich = status_pb2.Status.FromString(dict(status.trailing_metadata or ())["grpc-status-details-bin"])
    listed, failure = struct_pb2.ListValue(), error_details_pb2.PreconditionFailure()
    for detail in rich.details:
        detail.Unpack(listed)
        detail.Unpack(failure)
    return status, listed, [violation.description for violation in failure.violations]


def test_a_message_of_the_contract_says_all_where_prose_must_be_cut() -> None:
    lines = tuple(f"AJ1-RED-42-{n:03}" for n in range(200))

    status, listed, descriptions = _typed(InsufficientStock(lines))

    assert listed == _listed(lines)
    assert descriptions[-1] == f"{200 - len(descriptions[:-1])} more violations"
    assert _bytes_on_the_wire(status) < MOST_TRAILER_BYTES


def test_a_few_lines_are_told_in_the_message_of_the_contract_and_in_prose() -> None:
    _, listed, descriptions = _typed(InsufficientStock(("a", "b")))

    assert listed == _listed(["a", "b"])
    assert descriptions == ["requested 5, available 2"] * 2


@pytest.mark.parametrize("letter", ["a", "ü", "箱", "\n"])
def test_a_message_of_the_contract_never_makes_a_status_larger_than_peers_accept(letter: str) -> None:
    status, listed, _ = _typed(InsufficientStock(tuple(letter * 20 + str(n) for n in range(500))))

    assert len(listed.values) > 40
    assert _bytes_on_the_wire(status) < MOST_TRAILER_BYTES


@pytest.mark.parametrize(("letter", "lines"), [("a", 60), ("a", 200), ("箱", 200), ("\n", 200)])
async def test_a_message_of_the_contract_takes_the_room_that_there_is_and_reaches_a_caller(
    letter: str, lines: int
) -> None:
    statuses = ErrorStatuses(
        "shop.holdfast",
        {InsufficientStock: grpc.StatusCode.FAILED_PRECONDITION},
        {InsufficientStock: lambda error: ops_pb2.ListOutboxResponse(entries=map(_entry, error.lines))},
    )
    error = InsufficientStock(tuple(f"{letter * 55}-{n}" for n in range(lines)))
    status = statuses.status(error, "c-1")
    assert _bytes_on_the_wire(status) < MOST_TRAILER_BYTES

    async def refuse(request: Message, context: Context) -> Message:
        raise error

    async with asking(refuse, statuses=statuses) as ask:
        for _ in range(20):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await ask(Asked(), timeout=5)
            assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    rich = rpc_status.from_call(refused.value)  # type: ignore[arg-type]
    told = ops_pb2.ListOutboxResponse()
    assert rich is not None and rich.details[1].Unpack(told)
    assert list(told.entries) == [_entry(line) for line in error.lines[: len(told.entries)]]
    assert len(told.entries) >= (60 if letter == "a" else 15)


def _entry(line: str) -> ops_pb2.OutboxEntry:
    return ops_pb2.OutboxEntry(entry_id=line, attempts=7)


def _bytes_on_the_wire(status: grpc.Status) -> int:
    binary = dict(status.trailing_metadata or ())["grpc-status-details-bin"]
    # Binary trailers travel as base64, text percent-encoded; HPACK counts 32 bytes for each entry.
    encoded = sum(1 if 0x20 <= byte <= 0x7E else 3 for byte in status.details.encode())
    return len(binary) * 4 // 3 + encoded + 3 * 32 + len("grpc-status-details-bingrpc-messagegrpc-status")


def test_an_error_in_no_table_is_internal_and_says_nothing() -> None:
    code, found = details(LookupError("canary"))

    assert code is grpc.StatusCode.INTERNAL
    assert "canary" not in str(found)
