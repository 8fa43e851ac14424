import base64
import json

import pytest
from holdfast.inventory.v1 import movement_pb2
from holdfast.ops.v1 import ops_pb2 as pb

from servicekit.errors import FieldInvalid, PageTokenMismatch
from servicekit.paging import Page, next_page_token, requested_page
from servicekit.validation import Violations


def page(request: object) -> Page:
    violations = Violations()
    found = requested_page(violations, request)
    violations.raise_if_any()
    return found


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
