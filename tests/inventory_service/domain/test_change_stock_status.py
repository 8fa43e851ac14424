"""Which status may follow upon which."""

import pytest

from inventory_service.domain import stock_changes
from inventory_service.domain.commands import ChangeStockStatus
from inventory_service.domain.errors import IllegalStatusChange, StockHasHolds
from inventory_service.domain.stock import StockStatus
from inventory_service.domain.stock_level import StockLevel
from tests.inventory_service.domain.books import a_book, a_level, a_reservation, numbers, untouched

LEGAL = {
    ("IN_STOCK", "PRESALE"),
    ("PRESALE", "IN_STOCK"),
    ("PRESALE", "PREORDER"),
    ("PREORDER", "PRESALE"),
    ("IN_STOCK", "ERROR"),
    ("PRESALE", "ERROR"),
    ("PREORDER", "ERROR"),
    ("ERROR", "IN_STOCK"),
    *(
        (status, end)
        for status in ("IN_STOCK", "PRESALE", "PREORDER", "ERROR")
        for end in ("SOLD", "CANCELED")
    ),
}


@pytest.mark.parametrize("now", StockStatus)
@pytest.mark.parametrize("wanted", StockStatus)
def test_legal_changes_are_allowed_and_all_others_refused(now: StockStatus, wanted: StockStatus) -> None:
    book = a_book([a_level("A", status=now)])

    outcome = stock_changes.change_status(book, ChangeStockStatus("A", wanted, ""))

    if (now.name, wanted.name) in LEGAL:
        assert isinstance(outcome, StockLevel)
    else:
        assert isinstance(outcome, IllegalStatusChange)
        assert set(outcome.allowed) == {to for start, to in LEGAL if start == now.name}
    assert untouched(book)


@pytest.mark.parametrize("wanted", [StockStatus.SOLD, StockStatus.CANCELED])
def test_nothing_that_is_held_ends(wanted: StockStatus) -> None:
    book = a_book([a_level("A", 10, 2)], a_reservation("r1", {"A": 2}))

    assert isinstance(stock_changes.change_status(book, ChangeStockStatus("A", wanted, "")), StockHasHolds)
    assert untouched(book)


def test_a_hold_past_its_time_is_given_back_first() -> None:
    book = a_book([a_level("A", 10, 2)], a_reservation("r1", {"A": 2}, expires_in=-1))

    outcome = stock_changes.change_status(book, ChangeStockStatus("A", StockStatus.SOLD, ""))

    assert isinstance(outcome, StockLevel)
    assert numbers(book) == {"A": (10, 0)}


def test_what_is_held_may_be_in_error() -> None:
    book = a_book([a_level("A", 10, 2)], a_reservation("r1", {"A": 2}))

    assert isinstance(
        stock_changes.change_status(book, ChangeStockStatus("A", StockStatus.ERROR, "")), StockLevel
    )
