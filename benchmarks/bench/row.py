"""What a row of the report is: what is called, by which client, how many at once."""

from dataclasses import dataclass

from benchmarks.bench.wishes import HOT_SKU

IN_FLIGHT = 64
LINES = 50
STREAMED = 64
"""Reservations that one stream carries."""

H2LOAD, PYTHON, PGBENCH, IN_PROCESS = "h2load", "Python", "pgbench", "in process"


@dataclass(frozen=True)
class Row:
    """One line of the report.

    `kind` is what is done, in words of the row's panel; `sku` is HOT_SKU or ANY_SKU. One operation of the client brings
    so many `messages`, each of so many `lines`.
    """

    key: str
    title: str
    client: str
    kind: str = ""
    sku: str = HOT_SKU
    in_flight: int = IN_FLIGHT
    lines: int = 1
    messages: int = 1

    @property
    def units(self) -> int:
        """Units that one operation reserves, by which a rate is multiplied to compare with single ones."""
        return self.lines * self.messages


@dataclass(frozen=True)
class Panel:
    """Rows that are compared with each other, and therefore measured in turns."""

    key: str
    title: str
    rows: tuple[Row, ...]
