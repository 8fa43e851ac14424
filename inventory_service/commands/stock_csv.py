"""Stocks as CSV: what `export` writes and `import` reads.

UTF-8, commas, a header; one stock a record. `sku` and `quantity` are required, each other column is a field of
StockDetails and may be left out. An empty cell says that nothing is known: it clears the field. Amounts of money are
decimals ("199.90"), times are "2024-05-01T10:00:00Z", external_ids is a JSON object of texts.
"""

import csv
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from holdfast.inventory.v1 import stock_pb2, transfer_pb2

DETAILS = [field.name for field in stock_pb2.StockDetails.DESCRIPTOR.fields]
COLUMNS = ["sku", "quantity", *DETAILS]
_REQUIRED = COLUMNS[:2]
_TIMES = ("purchase_time", "delivery_time")
_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,18}", re.ASCII)


@dataclass(frozen=True)
class CsvProblem:
    """One thing that is wrong with a file; `line` is where the record begins, `field` may be empty."""

    line: int
    field: str
    description: str

    def __str__(self) -> str:
        return f"line {self.line}{', ' + self.field if self.field else ''}: {self.description}"


def details_columns(path: Path) -> list[str]:
    """The columns of details that a readable file has."""
    with _opened(path) as file:
        return [name for name in next(csv.reader(file)) if name in DETAILS]


def read(path: Path) -> Iterator[transfer_pb2.ImportRow | CsvProblem]:
    """Each record as a row, or what is wrong with it; a header that is wrong is all that is told."""
    with _opened(path) as file:
        records = csv.reader(file, strict=True)
        line = 1
        try:
            header = next(records, [])
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
    return [stock.sku, str(stock.quantity), *_cells(stock.details)]


def _opened(path: Path) -> TextIO:
    # Bytes that are no UTF-8 become surrogates, so that the cell that bears them can be named.
    return path.open(encoding="utf-8-sig", errors="surrogateescape", newline="")


def _header_problems(header: Sequence[str]) -> Iterator[CsvProblem]:
    for name in _REQUIRED:
        if name not in header:
            yield CsvProblem(1, name, "is missing from the header")
    for name in dict.fromkeys(header):
        if name not in COLUMNS:
            known = ", ".join(COLUMNS)
            yield CsvProblem(1, _shown(name), f"is no column of stocks; there are {known}")
        elif header.count(name) > 1:
            yield CsvProblem(1, name, "stands in the header more than once")


def _row(
    line: int, header: Sequence[str], record: Sequence[str]
) -> Iterator[transfer_pb2.ImportRow | CsvProblem]:
    if len(record) != len(header):
        yield CsvProblem(line, "", f"has {len(record)} cells, the header has {len(header)}")
        return
    row = transfer_pb2.ImportRow(line=line)
    problems: list[CsvProblem] = []
    for name, cell in zip(header, record, strict=True):
        try:
            _take(row, name, cell)
        except UnicodeEncodeError:
            problems.append(CsvProblem(line, name, "is not UTF-8"))
        except ValueError as error:
            problems.append(CsvProblem(line, name, f"{error}, not {_shown(cell)!r}"))
    if problems:
        yield from problems
    else:
        yield row


def _take(row: transfer_pb2.ImportRow, name: str, cell: str) -> None:
    """Puts a cell into its field. Raises ValueError with what it must be."""
    cell.encode()
    if name == "sku":
        row.sku = cell
    elif name == "quantity":
        if _WHOLE_NUMBER.fullmatch(cell) is None:
            raise ValueError("must be a whole number")
        row.quantity = int(cell)
    elif not cell:
        return
    elif name in _TIMES:
        try:
            getattr(row.details, name).FromJsonString(cell)
        except ValueError:
            raise ValueError("must be a time such as 2024-05-01T10:00:00Z") from None
    elif name == "external_ids":
        row.details.external_ids.update(_texts(cell))
    else:
        setattr(row.details, name, cell)


def _texts(cell: str) -> dict[str, str]:
    try:
        found = json.loads(cell)
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise ValueError('must be a JSON object of texts such as {"erp": "4711"}')
    return found


def _cells(details: stock_pb2.StockDetails) -> Iterator[str]:
    known = {field.name: value for field, value in details.ListFields()}
    for name in DETAILS:
        if name not in known:
            yield ""
        elif name in _TIMES:
            yield known[name].ToJsonString()
        elif name == "external_ids":
            yield json.dumps(dict(known[name]), ensure_ascii=False, sort_keys=True)
        else:
            yield known[name]


def _shown(text: str) -> str:
    return text.encode(errors="replace").decode()[:60]
