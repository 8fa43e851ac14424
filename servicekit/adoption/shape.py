"""A database as an adoption finds it, and where its tables are not as expected."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

C = TypeVar("C")

MUST_BE_GIVEN = (
    "must be given for every new row, which this service does not; drop its NOT NULL or set a default"
)
TAKEN = "bears a name that this service gives; rename it"


class Verdict(Enum):
    """What a difference means."""

    KEPT = "kept as it is"
    MENDED = "changed to what is expected"
    STOPS = "stops the adoption"


@dataclass(frozen=True)
class Difference:
    """Where something of a table is not as expected; `subject` is a column, an index, or "*" for the whole."""

    table: str
    subject: str
    verdict: Verdict
    says: str
    becomes: str = ""
    """What more there is to say than the verdict."""

    def __str__(self) -> str:
        return f"{self.table}.{self.subject} {self.says}"


@dataclass(frozen=True)
class Shape(Generic[C]):
    """A database as it was found; each value of the service's kinds is what the operator reads."""

    kind: Enum
    tables: Mapping[str, Mapping[str, C]]
    differences: Sequence[Difference] = ()
    """Every table's, in the order of the columns."""
    done: Sequence[str] = ()
    """What the old system's last phase adds and is there."""
    missing: Sequence[str] = ()
    """What it adds and is not."""

    @property
    def stops(self) -> list[Difference]:
        """The differences with which the database cannot be adopted."""
        return [found for found in self.differences if found.verdict is Verdict.STOPS]


def holds_decimals(found: str, wanted: str) -> bool:
    """Whether a decimal type has as many digits as another on both sides of the point."""
    (precision, scale), (least, cents) = numbers_in(found), numbers_in(wanted)
    return scale >= cents and precision - scale >= least - cents


def numbers_in(type_name: str) -> list[int]:
    """The sizes in the name of a type."""
    return [int(number) for number in re.findall(r"\d+", type_name)]
