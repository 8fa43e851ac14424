"""Field checks that collect every violation of a request before refusing it once."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Self, TypeVar

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from servicekit.errors import FieldInvalid, Violation

MOST_QUANTITY = 1_000_000_000
MOST_VIOLATIONS = 1000

_NAME = re.compile(r"[A-Za-z0-9._:/-]{1,64}", re.ASCII)
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,19}", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")

C = TypeVar("C")


class Violations:
    """What is wrong with one request. A check answers a harmless value where it finds a violation.

    As a context it raises FieldInvalid at its end, with all of them.
    """

    def __init__(self) -> None:
        self._found: list[Violation] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is None and self._found:
            raise FieldInvalid(tuple(self._found))

    def add(self, field: str, description: str) -> None:
        """Notes one violation; `field` is the full path."""
        if len(self._found) < MOST_VIOLATIONS:
            self._found.append(Violation(field, description))

    @property
    def found(self) -> tuple[Violation, ...]:
        """The violations noted so far."""
        return tuple(self._found)

    def name(self, field: str, value: str) -> str:
        """A required id: 1–64 characters of [A-Za-z0-9._:/-]."""
        if _NAME.fullmatch(value) is None:
            self.add(field, "must be 1 to 64 characters of A-Z a-z 0-9 . _ : / -")
        return value

    def optional_name(self, field: str, value: str) -> str | None:
        """Such an id, or None where it is empty."""
        return self.name(field, value) if value else None

    def decimal_id(self, field: str, value: str) -> int:
        """A required id: a canonical decimal number from 1 to 2^64 - 1."""
        number = int(value) if _DECIMAL.fullmatch(value) else 0
        if not 0 < number < 2**64:
            self.add(field, "must be a decimal number from 1 to 18446744073709551615, without leading zeros")
            return 0
        return number

    def optional_decimal_id(self, field: str, value: str) -> int | None:
        """Such an id, or None where it is empty."""
        return self.decimal_id(field, value) if value else None

    def quantity(self, field: str, value: int, *, least: int = 0, most: int = MOST_QUANTITY) -> int:
        """A whole number of units."""
        if not least <= value <= most:
            self.add(field, f"must be from {least} to {most}")
            return least
        return value

    def delta(self, field: str, value: int, *, most: int = MOST_QUANTITY) -> int:
        """A change by a whole number of units, up or down, not 0."""
        if value == 0 or abs(value) > most:
            self.add(field, f"must be from -{most} to {most} and not 0")
        return value

    def text(self, field: str, value: str, *, most: int, required: bool = False) -> str:
        """Free text of at most `most` characters, without control characters."""
        if required and not value.strip():
            self.add(field, "is required")
        elif len(value) > most:
            self.add(field, f"must have at most {most} characters")
        elif _CONTROL.search(value):
            self.add(field, "must not contain control characters")
        return value

    def request_id(self, value: str, *, required: bool = False) -> None:
        """The request_id: at most 64 printable ASCII characters."""
        if required and not value:
            self.add("request_id", "is required, so that a repeat of this call is harmless")
        elif len(value) > 64 or not value.isascii() or not (value.isprintable() or not value):
            self.add("request_id", "must be at most 64 printable ASCII characters")

    def choice(self, field: str, value: int, choices: Mapping[int, C]) -> C | None:
        """A required enum value."""
        if value not in choices:
            self.add(field, f"must be one of {_words(choices)}")
        return choices.get(value)

    def optional_choice(self, field: str, value: int, choices: Mapping[int, C]) -> C | None:
        """An enum value, or None where it is unspecified."""
        return None if value == 0 else self.choice(field, value, choices)

    def count(self, field: str, size: int, *, least: int = 0, most: int) -> None:
        """The length of a repeated field."""
        if size < least:
            self.add(field, f"must have at least {least} entr{'y' if least == 1 else 'ies'}")
        elif size > most:
            self.add(field, f"must have at most {most} entries, has {size}")

    def seconds(self, field: str, message: Duration, *, least: float, most: float) -> float:
        """A duration in seconds."""
        seconds = message.seconds + message.nanos / 1e9
        if abs(message.nanos) >= 10**9 or message.seconds * message.nanos < 0:
            self.add(field, "must have less than a second of nanos, of the same sign as its seconds")
            return least
        if not least <= seconds <= most:
            self.add(field, f"must be from {least:g}s to {_seconds(most)}")
            return least
        return seconds

    def instant(self, field: str, message: Timestamp) -> datetime:
        """An instant in UTC, to the microsecond."""
        try:
            return message.ToDatetime(tzinfo=UTC)
        except (ValueError, OverflowError):
            self.add(field, "must be a time from 0001-01-01T00:00:00Z to 9999-12-31T23:59:59.999999Z")
            return datetime(1970, 1, 1, tzinfo=UTC)


def _seconds(most: float) -> str:
    days, rest = divmod(most, 86_400)
    return f"{most:.12g}s" + (f" ({days:g} days)" if days > 1 and not rest else "")


def _words(choices: Mapping[int, object]) -> str:
    return ", ".join(str(getattr(choice, "name", choice)) for choice in choices.values())
