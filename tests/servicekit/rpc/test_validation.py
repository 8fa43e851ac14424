from collections.abc import Callable
from datetime import UTC, datetime
from enum import Enum
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from servicekit.errors import FieldInvalid
from servicekit.rpc.validation import Violations


class Colour(Enum):
    RED = "r"
    BLUE = "b"


COLOURS = {1: Colour.RED, 2: Colour.BLUE}


def checked(check: Callable[[Violations], Any]) -> tuple[Any, list[str]]:
    """The check's answer, and the descriptions of its violations."""
    try:
        with Violations() as violations:
            answer = check(violations)
    except FieldInvalid as refused:
        assert {violation.field for violation in refused.violations} == {"f"}
        return answer, [violation.description for violation in refused.violations]
    return answer, []


def test_all_violations_are_raised_at_once_in_their_order() -> None:
    with pytest.raises(FieldInvalid) as refused, Violations() as violations:
        violations.name("sku", "")
        violations.quantity("lines[2].quantity", -1)
        violations.text("note", "x" * 501, most=500)

    fields = [violation.field for violation in refused.value.violations]
    assert fields == ["sku", "lines[2].quantity", "note"]
    assert "lines[2].quantity: must be from 0 to 1000000000" in str(refused.value)


def test_a_request_without_violations_passes() -> None:
    with Violations() as violations:
        assert violations.name("sku", "A") == "A"


def test_what_goes_wrong_otherwise_is_not_hidden_by_violations() -> None:
    with pytest.raises(ZeroDivisionError), Violations() as violations:
        violations.name("sku", "")
        raise ZeroDivisionError


@pytest.mark.parametrize("value", ["a", "AJ1-42", "x" * 64, "A.b_c:d/e-9"])
def test_a_name_is_kept_as_it_is(value: str) -> None:
    assert checked(lambda v: v.name("f", value)) == (value, [])
    assert checked(lambda v: v.optional_name("f", value)) == (value, [])


@pytest.mark.parametrize("value", ["x" * 65, "a b", "a\n", "ü", "a\x00", "١", "a;DROP"])
def test_what_is_no_name_is_a_violation(value: str) -> None:
    assert len(checked(lambda v: v.name("f", value))[1]) == 1
    assert len(checked(lambda v: v.optional_name("f", value))[1]) == 1


def test_only_an_optional_name_may_be_empty() -> None:
    assert len(checked(lambda v: v.name("f", ""))[1]) == 1
    assert checked(lambda v: v.optional_name("f", "")) == (None, [])


@pytest.mark.parametrize(
    ("value", "number"), [("1", 1), ("41239", 41239), ("18446744073709551615", 2**64 - 1)]
)
def test_a_decimal_id_is_a_number(value: str, number: int) -> None:
    assert checked(lambda v: v.decimal_id("f", value)) == (number, [])
    assert checked(lambda v: v.optional_decimal_id("f", value)) == (number, [])


@pytest.mark.parametrize(
    "value",
    ["", "0", "01", "-1", "+1", " 1", "1\n", "1.0", "1e3", "1_000", "١", "18446744073709551616", "9" * 5000],
)
def test_what_is_no_canonical_id_is_a_violation(value: str) -> None:
    answer, found = checked(lambda v: v.decimal_id("f", value))

    assert answer == 0
    assert len(found) == 1


@pytest.mark.parametrize(
    ("value", "fits"), [(0, True), (1_000_000_000, True), (-1, False), (1_000_000_001, False)]
)
def test_a_quantity_has_limits(value: int, fits: bool) -> None:
    answer, found = checked(lambda v: v.quantity("f", value))

    assert (answer, not found) == (value if fits else 0, fits)


@pytest.mark.parametrize(
    ("value", "fits"),
    [(1, True), (-1_000_000_000, True), (0, False), (1_000_000_001, False), (-(2**63), False)],
)
def test_a_delta_is_a_change(value: int, fits: bool) -> None:
    assert (not checked(lambda v: v.delta("f", value))[1]) is fits


@pytest.mark.parametrize(
    ("value", "required", "fits"),
    [
        ("", False, True),
        ("", True, False),
        ("  \t", True, False),
        ("two\nlines\tand ü", True, True),
        ("x" * 10 + "箱" * 10, True, True),
        ("x" * 21, True, False),
        ("nul\x00", False, False),
        ("bell\x07", False, False),
    ],
)
def test_text_has_a_length_and_no_control_characters(value: str, required: bool, fits: bool) -> None:
    assert (not checked(lambda v: v.text("f", value, most=20, required=required))[1]) is fits


@pytest.mark.parametrize(
    ("value", "required", "fits"),
    [
        ("", False, True),
        ("", True, False),
        ("c0ffee-1", True, True),
        ("x" * 64, True, True),
        ("x" * 65, False, False),
        ("ü", False, False),
        ("a\nb", False, False),
    ],
)
def test_a_request_id_is_short_and_printable(value: str, required: bool, fits: bool) -> None:
    violations = Violations()
    violations.request_id(value, required=required)

    assert [violation.field for violation in violations.found] == ([] if fits else ["request_id"])


def test_a_choice_is_one_of_those_known() -> None:
    assert checked(lambda v: v.choice("f", 2, COLOURS)) == (Colour.BLUE, [])
    assert checked(lambda v: v.choice("f", 0, COLOURS)) == (None, ["must be one of RED, BLUE"])
    assert checked(lambda v: v.choice("f", 3, COLOURS)) == (None, ["must be one of RED, BLUE"])


def test_an_optional_choice_may_be_left_unspecified() -> None:
    assert checked(lambda v: v.optional_choice("f", 0, COLOURS)) == (None, [])
    assert checked(lambda v: v.optional_choice("f", 1, COLOURS)) == (Colour.RED, [])
    assert checked(lambda v: v.optional_choice("f", 3, COLOURS))[1] == ["must be one of RED, BLUE"]


@pytest.mark.parametrize(("size", "fits"), [(0, False), (1, True), (200, True), (201, False)])
def test_a_list_has_a_least_and_a_greatest_length(size: int, fits: bool) -> None:
    assert (not checked(lambda v: v.count("f", size, least=1, most=200))[1]) is fits


@pytest.mark.parametrize(
    ("duration", "fits"),
    [
        (Duration(seconds=1), True),
        (Duration(seconds=604800), True),
        (Duration(seconds=604800, nanos=1000), False),
        (Duration(nanos=999_999_999), False),
        (Duration(seconds=-5), False),
        (Duration(seconds=2**62), False),
        (Duration(), False),
    ],
)
def test_a_duration_has_limits(duration: Duration, fits: bool) -> None:
    answer, found = checked(lambda v: v.seconds("f", duration, least=1, most=604800))

    assert (not found) is fits
    assert answer == (duration.seconds if fits else 1)


@pytest.mark.parametrize(
    "broken",
    [
        Duration(seconds=2, nanos=-500_000_000),
        Duration(seconds=-2, nanos=500_000_000),
        Duration(nanos=2_000_000_000),
        Duration(seconds=4, nanos=-2_000_000_000),
    ],
)
def test_what_protobuf_calls_no_duration_is_a_violation(broken: Duration) -> None:
    answer, found = checked(lambda v: v.seconds("f", broken, least=1, most=604800))

    assert (answer, found) == (1, ["must have less than a second of nanos, of the same sign as its seconds"])


def test_an_instant_is_utc_to_the_microsecond() -> None:
    moment = Timestamp(seconds=1_700_000_000, nanos=123_456_789)

    answer, found = checked(lambda v: v.instant("f", moment))

    assert (answer, found) == (datetime(2023, 11, 14, 22, 13, 20, 123456, tzinfo=UTC), [])


@pytest.mark.parametrize(
    "moment",
    [
        Timestamp(seconds=2**62),
        Timestamp(seconds=-(2**62)),
        Timestamp(seconds=253402300800),
        Timestamp(seconds=-62135596801),
        Timestamp(seconds=1, nanos=2_000_000_000),
        Timestamp(seconds=1, nanos=-1),
    ],
)
def test_what_is_no_instant_is_a_violation(moment: Timestamp) -> None:
    assert len(checked(lambda v: v.instant("f", moment))[1]) == 1


def test_a_thousand_violations_are_enough() -> None:
    with pytest.raises(FieldInvalid) as refused, Violations() as violations:
        for index in range(5000):
            violations.add(f"lines[{index}]", "is wrong")

    assert len(refused.value.violations) == 1000
