"""A page token's keys come back from callers: whatever they are, they are keys or a mismatch."""

import pytest

from inventory_service.persistence import keys
from servicekit.errors import PageTokenMismatch

TIME = "2026-11-21T12:00:00+00:00"
UUID = "123e4567-e89b-12d3-a456-426614174000"


def test_keys_that_were_given_out_are_taken_back() -> None:
    keys.time_and_text((TIME, "r1"))
    keys.time_and_uuid((TIME, UUID))
    keys.time_and_number((TIME, "42"))
    assert keys.one_text(("AJ1-42",)) == "AJ1-42"


@pytest.mark.parametrize(
    "time", ["", "yesterday", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2026-13-01"]
)
def test_what_is_no_time_is_a_mismatch(time: str) -> None:
    for read, key in ((keys.time_and_text, "r1"), (keys.time_and_uuid, UUID), (keys.time_and_number, "1")):
        with pytest.raises(PageTokenMismatch):
            read((time, key))


@pytest.mark.parametrize("key", ["\x00", "\ud800", "ü", "a\nb"])
def test_what_no_id_can_be_is_a_mismatch(key: str) -> None:
    with pytest.raises(PageTokenMismatch):
        keys.time_and_text((TIME, key))
    with pytest.raises(PageTokenMismatch):
        keys.one_text((key,))


@pytest.mark.parametrize("key", ["", "-1", "1.5", "9" * 19, "9" * 5000, "x"])
def test_what_is_no_number_is_a_mismatch(key: str) -> None:
    with pytest.raises(PageTokenMismatch):
        keys.time_and_number((TIME, key))


def test_what_is_no_uuid_is_a_mismatch() -> None:
    with pytest.raises(PageTokenMismatch):
        keys.time_and_uuid((TIME, "not-one"))


@pytest.mark.parametrize("after", [(), (TIME,), (TIME, "1", "2")])
def test_too_few_and_too_many_keys_are_a_mismatch(after: tuple[str, ...]) -> None:
    for read in (keys.time_and_text, keys.time_and_uuid, keys.time_and_number):
        with pytest.raises(PageTokenMismatch):
            read(after)
    with pytest.raises(PageTokenMismatch):
        keys.one_text(("a", "b"))
