"""Stocks as CSV: what `export` writes and `import` reads.

UTF-8, commas, a header; one stock a record. `sku` and `quantity` are required, each other column is a field of
StockDetails and may be left out. An empty cell says that nothing is known: it clears the field. Amounts of money are
decimals ("199.90"), times are "2024-05-01T10:00:00Z", external_ids is a JSON object of texts.
"""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from holdfast.inventory.v1 import stock_pb2, transfer_pb2

from inventory_service.commands.stock_cells import DETAILS, cells_of, read_cell

COLUMNS = ["sku", "quantity", *DETAILS]
_REQUIRED = COLUMNS[:2]
_NO_QUANTITY = -1
_BYTE_ORDERS = {
    b"\xff\xfe\x00\x00": "UTF-32",
    b"\x00\x00\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}


@dataclass(frozen=True)
class CsvProblem:
    """One thing that is wrong with a file or a row; `line` is where the record begins, `field` may be empty."""

    line: int
    field: str
    description: str

    def __str__(self) -> str:
        return f"line {self.line}{', ' + self.field if self.field else ''}: {self.description}"


@dataclass(frozen=True)
class CsvRow:
    """One record, and what is wrong with its cells.

    Where anything is, the message holds the cells that can be read and a quantity that no stock can have: so sent,
    the service refuses the row as it does any other bad one, judges what it can and takes its sku for named.
    """

    message: transfer_pb2.ImportRow
    problems: list[CsvProblem] = field(default_factory=list)


def details_columns(path: Path) -> list[str]:
    """The columns of details that a readable file has."""
    with _opened(path) as file:
        return [name for name in _header(csv.reader(file)) if name in DETAILS]


def read(path: Path) -> Iterator[CsvRow | CsvProblem]:
    """Each record as a row. A problem by itself is one for which the whole file must be refused.

    Such are an encoding that is not UTF-8, quotes that do not end, and a header that is wrong; that is all that is
    told then.
    """
    if encoding := _other_encoding(path):
        yield CsvProblem(1, "", f"the file is {encoding}; save it as UTF-8")
        return
    with _opened(path) as file:
        records = csv.reader(file, strict=True)
        line = 1
        try:
            header = _header(records)
            if problems := list(_header_problems(header)):
                yield from problems
                return
            line = records.line_num + 1
            for record in records:
                if record:
                    yield from _row(line, header, record)
                line = records.line_num + 1
        except csv.Error as error:
            yield CsvProblem(line, "", f"is no CSV: {error}")


def record(stock: stock_pb2.Stock) -> list[str]:
    """A stock's cells, in the order of COLUMNS."""
    return [stock.sku, str(stock.quantity), *cells_of(stock.details)]


def _opened(path: Path) -> TextIO:
    # Bytes that are no UTF-8 become surrogates, so that the cell that bears them can be named.
    return path.open(encoding="utf-8-sig", errors="surrogateescape", newline="")


def _other_encoding(path: Path) -> str | None:
    """The encoding that the file's first bytes give away, if it is not UTF-8."""
    with path.open("rb") as file:
        begin = file.read(4)
    for mark, encoding in _BYTE_ORDERS.items():
        if begin.startswith(mark):
            return encoding
    # Every column's name is ASCII: of its two bytes one is null.
    return "UTF-16" if b"\0" in begin[:2] else None


def _header(records: Iterator[list[str]]) -> list[str]:
    return next(filter(None, records), [])


def _header_problems(header: Sequence[str]) -> Iterator[CsvProblem]:
    if not header:
        yield CsvProblem(1, "", "the file is empty")
        return
    for name in _REQUIRED:
        if name not in header:
            yield CsvProblem(1, name, "is missing from the header")
    for name in dict.fromkeys(header):
        if name not in COLUMNS:
            known = ", ".join(COLUMNS)
            yield CsvProblem(1, _shown(name), f"is no column of stocks; there are {known}")
        elif header.count(name) > 1:
            yield CsvProblem(1, name, "stands in the header more than once")


def _row(line: int, header: Sequence[str], record: Sequence[str]) -> Iterator[CsvRow | CsvProblem]:
    row = CsvRow(transfer_pb2.ImportRow(line=line))
    pairs = list(zip(header, record, strict=False))
    if len(record) != len(header):
        cells = "1 cell" if len(record) == 1 else f"{len(record)} cells"
        row.problems.append(CsvProblem(line, "", f"has {cells}, the header has {len(header)}"))
        pairs = [pair for pair in pairs if pair[0] == "sku"]
    unreadable = False
    for name, cell in pairs:
        try:
            read_cell(row.message, name, cell)
        except UnicodeEncodeError:
            unreadable = True
            yield CsvProblem(line, name, "is not UTF-8")
        except ValueError as error:
            row.problems.append(CsvProblem(line, name, f"{error}, not {_shown(cell)!r}"))
    if row.problems:
        row.message.quantity = _NO_QUANTITY
    if not unreadable:
        yield row


def _shown(text: str) -> str:
    return text.encode(errors="replace").decode()[:60]
