"""Stocks as CSV: what is written is read, what cannot be read is named."""

import csv
import string
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from holdfast.inventory.v1 import stock_pb2
from holdfast.inventory.v1 import transfer_pb2 as pb
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inventory_service.commands import stock_csv

NAMES = st.text(string.ascii_letters + string.digits + "._:/-", min_size=1, max_size=64)
TEXTS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=50
) | st.sampled_from(
    [
        "",
        " ",
        ",",
        '"',
        '""',
        "\r\n",
        "\n",
        "\r",
        "a\rb",
        "é,\n語",
        "=1+1",
        "\u2028",
        "\ufeff",
        "null",
        "\U0001f600",
    ]
)
AMOUNTS = st.sampled_from(["", "0", "0.1", "12345678.90", "007.00"])
TIMES = st.datetimes(timezones=st.just(UTC))
DETAILS = st.fixed_dictionaries(
    {"ean": TEXTS, "gross_purchase_price": AMOUNTS, "vat_rate": AMOUNTS, "notes": TEXTS, "location": TEXTS},
    optional={
        "purchase_time": TIMES,
        "delivery_time": TIMES,
        "external_ids": st.dictionaries(TEXTS, TEXTS, max_size=4),
    },
)
STOCKS = st.lists(st.tuples(NAMES, st.integers(0, 10**9), DETAILS), max_size=6)


def read(path: Path) -> list[Any]:
    """The messages of a file without fault."""
    messages = []
    for found in stock_csv.read(path):
        assert isinstance(found, stock_csv.CsvRow)
        assert not found.problems
        messages.append(found.message)
    return messages


def told(path: Path, content: str | bytes) -> list[str]:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    problems = []
    for found in stock_csv.read(path):
        problems += [found] if isinstance(found, stock_csv.CsvProblem) else found.problems
    return [str(problem) for problem in problems]


@given(STOCKS)
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_what_is_written_is_read_back(
    tmp_path: Path, given_stocks: list[tuple[str, int, dict[str, Any]]]
) -> None:
    stocks = [
        stock_pb2.Stock(sku=sku, quantity=quantity, details=stock_pb2.StockDetails(**details))
        for sku, quantity, details in given_stocks
    ]
    path = tmp_path / "stocks.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        records = csv.writer(file)
        records.writerow(stock_csv.COLUMNS)
        records.writerows(stock_csv.record(stock) for stock in stocks)

    rows = read(path)

    assert [(row.sku, row.quantity, row.details) for row in rows] == [
        (stock.sku, stock.quantity, stock.details) for stock in stocks
    ]


def test_columns_may_be_left_out_and_stand_in_any_order(tmp_path: Path) -> None:
    path = tmp_path / "stocks.csv"
    path.write_text("notes,quantity,sku\r\nfirst,5,A\r\n\r\n,0,B\r\n", encoding="utf-8-sig", newline="")

    assert read(path) == [
        pb.ImportRow(line=2, sku="A", quantity=5, details=stock_pb2.StockDetails(notes="first")),
        pb.ImportRow(line=4, sku="B"),
    ]
    assert stock_csv.details_columns(path) == ["notes"]


def test_a_line_is_where_a_record_begins(tmp_path: Path) -> None:
    path = tmp_path / "stocks.csv"

    found = told(path, 'sku,quantity,notes\nA,1,"two\nlines"\nB,x,"two\nmore"\nC,y,\n')

    assert found == [
        "line 4, quantity: must be a whole number, not 'x'",
        "line 6, quantity: must be a whole number, not 'y'",
    ]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", ["line 1: the file is empty"]),
        ("\n\n", ["line 1: the file is empty"]),
        ("x\n", ["line 1, sku: is missing from the header", "line 1, quantity: is missing from the header"]),
        ("sku,quantity,sku\n", ["line 1, sku: stands in the header more than once"]),
        ("sku,quantity\nA\n", ["line 2: has 1 cell, the header has 2"]),
        ("sku,quantity\nA,1,2\nB,\n", ["line 2: has 3 cells", "line 3, quantity: must be a whole number"]),
        ("sku,quantity\nA,1.0\n", ["line 2, quantity: must be a whole number, not '1.0'"]),
        ("sku,quantity\nA,99999999999999999999\n", ["line 2, quantity: is too large: must be from 0 to"]),
        (f"sku,quantity\nA,{'9' * 5000}\n", ["line 2, quantity: is too large: must be from 0 to"]),
        ("sku,quantity\nA,-1\nB,-000\n", ["line 2, quantity: must be from 0 to 1000000000, not '-1'"]),
        ("sku,quantity,purchase_time\nA,1,1.5.2024\n", ["line 2, purchase_time: must be a time such as"]),
        ("sku,quantity,external_ids\nA,1,erp\n", ["line 2, external_ids: must be a JSON object"]),
        ('sku,quantity,external_ids\nA,1,"{""a"": 1}"\n', ["line 2, external_ids: must be a JSON object"]),
        ('sku,quantity,notes\nA,1,"open\n', ["line 2: is no CSV"]),
        (
            "sku,quantity,notes\nA,x,é\nB,1,è\n".encode("latin-1"),
            ["line 2, notes: is not UTF-8", "line 3, notes: is not UTF-8"],
        ),
        ("sku,quantity\nA,1\n".encode("utf-16"), ["line 1: the file is UTF-16; save it as UTF-8"]),
        ("sku,quantity\nA,1\n".encode("utf-16-be"), ["line 1: the file is UTF-16; save it as UTF-8"]),
        ("sku,quantity\nA,1\n".encode("utf-32"), ["line 1: the file is UTF-32; save it as UTF-8"]),
    ],
)
def test_what_cannot_be_read_is_named_by_line_and_field(
    tmp_path: Path, content: str | bytes, expected: list[str]
) -> None:
    found = told(tmp_path / "stocks.csv", content)

    assert len(found) >= len(expected)
    for words, beginning in zip(found, expected, strict=False):
        assert words.startswith(beginning)


def test_a_column_that_is_not_known_is_answered_with_those_that_are(tmp_path: Path) -> None:
    [problem] = told(tmp_path / "stocks.csv", "sku,quantity,color\n")

    assert problem.startswith("line 1, color: is no column of stocks; there are sku, quantity, product_id")
