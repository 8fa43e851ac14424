import base64
import json
from collections.abc import Callable
from datetime import datetime
from uuid import UUID

import pytest
from holdfast.inventory.v1 import movement_pb2
from holdfast.ops.v1 import ops_pb2 as pb

from servicekit.errors import FieldInvalid, PageTokenMismatch
from servicekit.rpc.paging import (
    Page,
    after_number,
    after_text,
    after_time_and_number,
    after_time_and_text,
    after_time_and_uuid,
    next_page_token,
    one_page,
    requested_page,
)
from servicekit.rpc.validation import Violations


def page(request: object) -> Page:
    with Violations() as violations:
        return requested_page(violations, request)


@pytest.mark.parametrize(("asked", "given"), [(0, 50), (1, 1), (1000, 1000), (1001, 1000), (2**31 - 1, 1000)])
def test_a_page_has_fifty_rows_unless_asked_otherwise_and_a_thousand_at_most(asked: int, given: int) -> None:
    assert page(pb.ListOutboxRequest(page_size=asked)) == Page(given, None)


def test_a_negative_size_is_a_violation() -> None:
    with pytest.raises(FieldInvalid) as refused:
        page(pb.ListOutboxRequest(page_size=-1))

    assert [violation.field for violation in refused.value.violations] == ["page_size"]


def test_a_token_leads_to_the_rows_after_the_key_it_names() -> None:
    request = pb.ListOutboxRequest(state=pb.OUTBOX_STATE_PARKED, page_size=10)
    token = next_page_token(request, ("2026-11-21T10:00:00", "ключ/7"))

    request.page_token, request.page_size = token, 20

    assert page(request) == Page(20, ("2026-11-21T10:00:00", "ключ/7"))


def test_a_token_belongs_to_its_other_arguments() -> None:
    token = next_page_token(pb.ListOutboxRequest(state=pb.OUTBOX_STATE_PARKED), ("1",))

    with pytest.raises(PageTokenMismatch):
        page(pb.ListOutboxRequest(state=pb.OUTBOX_STATE_PENDING, page_token=token))


def test_a_token_belongs_to_its_method() -> None:
    token = next_page_token(pb.ListOutboxRequest(), ("1",))

    with pytest.raises(PageTokenMismatch):
        page(movement_pb2.ListMovementsRequest(page_token=token))


def _encoded(text: str | bytes) -> str:
    raw = text.encode() if isinstance(text, str) else text
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _bound_token(*key: object) -> str:
    token = next_page_token(pb.ListOutboxRequest(), ("1",))
    bound_to = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))[0]
    return _encoded(json.dumps([bound_to, *key]))


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "not base64!",
        "日本",
        _encoded("7"),
        _encoded("null"),
        _encoded("{}"),
        _encoded('{"a": 1}'),
        _encoded("[]"),
        _encoded('"text"'),
        _encoded(b"\xff\xfe"),
        _encoded("NaN"),
        _encoded("[" * 100_000),
        _encoded('{"a":' * 100_000),
        _encoded("1" * 10_000),
        _bound_token(),
        _bound_token(7),
        _bound_token(None),
        _bound_token(["nested"]),
    ],
    ids=lambda token: token[:16],
)
def test_what_is_no_token_of_ours_is_refused(token: str) -> None:
    with pytest.raises(PageTokenMismatch):
        page(pb.ListOutboxRequest(page_token=token))


UTC_TIME = "2026-11-21T10:00:00.000001+00:00"
UUID_TEXT = "00000000-0000-4000-8000-000000000007"


@pytest.mark.parametrize(
    ("read", "after", "expected"),
    [
        (after_text, ("AJ1-42",), "AJ1-42"),
        (after_number, ("18446744073709551615",), 2**64 - 1),
        (after_time_and_text, (UTC_TIME, "R-1"), (datetime.fromisoformat(UTC_TIME), "R-1")),
        (after_time_and_number, (UTC_TIME, "7"), (datetime.fromisoformat(UTC_TIME), 7)),
        (after_time_and_uuid, (UTC_TIME, UUID_TEXT), (datetime.fromisoformat(UTC_TIME), UUID(UUID_TEXT))),
    ],
)
def test_a_listing_reads_the_key_that_the_page_before_ended_with(
    read: Callable[[Page], object], after: tuple[str, ...], expected: object
) -> None:
    assert read(Page(10, after)) == expected
    assert read(Page(10, None)) is None


@pytest.mark.parametrize(
    ("read", "after"),
    [
        (after_text, ("a", "b")),
        (after_text, ("nul\x00",)),
        (after_text, ("\ud800",)),
        (after_text, ("a\nb",)),
        (after_number, ("-1",)),
        (after_number, ("x",)),
        (after_number, ("",)),
        (after_number, ("١",)),
        (after_number, ("18446744073709551616",)),
        (after_number, ("9" * 5000,)),
        (after_time_and_text, (UTC_TIME,)),
        (after_time_and_text, ("yesterday", "R-1")),
        (after_time_and_text, ("2026-11-21T10:00:00", "R-1")),
        (after_time_and_text, ("0001-01-01T00:00:00+23:59", "R-1")),
        (after_time_and_text, ("9999-12-31T23:59:59-23:59", "R-1")),
        (after_time_and_text, (UTC_TIME, "nul\x00")),
        (after_time_and_number, (UTC_TIME, "R-1")),
        (after_time_and_number, (UTC_TIME, str(2**63))),
        (after_time_and_uuid, (UTC_TIME, "7")),
        (after_time_and_uuid, ("", UUID_TEXT)),
    ],
)
def test_a_key_that_the_listing_cannot_have_given_is_refused(
    read: Callable[[Page], object], after: tuple[str, ...]
) -> None:
    with pytest.raises(PageTokenMismatch):
        read(Page(10, after))


def listed(page: Page, names: list[str]) -> tuple[list[str], str]:
    """The names of the page that the rows of these names make, and the token of the next."""
    request = pb.ListOutboxRequest()
    messages, token = one_page(
        request, page, names, lambda name: (name[:9],), lambda name: pb.Finding(subject=name)
    )
    return [message.subject for message in messages], token


def test_a_page_that_is_not_the_last_leads_to_the_next() -> None:
    names, token = listed(Page(2, None), ["a", "b", "c"])

    assert names == ["a", "b"]
    assert page(pb.ListOutboxRequest(page_token=token)).after == ("b",)


@pytest.mark.parametrize("rows", [[], ["a"], ["a", "b"]])
def test_the_last_page_leads_nowhere(rows: list[str]) -> None:
    assert listed(Page(2, None), rows) == (rows, "")


def test_large_rows_make_a_shorter_page_that_leads_on_behind_its_last_row() -> None:
    rows = [f"{number:09}" + "x" * (1024 * 1024) for number in range(5)]

    names, token = listed(Page(5, None), rows)

    assert names == rows[:2]
    assert page(pb.ListOutboxRequest(page_token=token)).after == ("000000001",)
    assert listed(Page(5, None), rows[2:4]) == (rows[2:4], "")


def test_a_row_that_is_too_large_for_any_page_stands_alone() -> None:
    rows = ["x" * (4 * 1024 * 1024), "y"]

    names, token = listed(Page(5, None), rows)

    assert names == rows[:1]
    assert token
