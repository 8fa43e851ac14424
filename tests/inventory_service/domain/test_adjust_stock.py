"""Adjusting: never below what is held, never above what a stock can have, always in the ledger."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from inventory_service.domain import stock_changes
from inventory_service.domain.commands import AdjustStock
from inventory_service.domain.errors import (
    EtagMismatch,
    InsufficientStock,
    Shortage,
    StockHasHolds,
    StockLimitExceeded,
    StockNotFound,
)
from inventory_service.domain.movement import Movement, MovementReason
from inventory_service.domain.stock import MOST_UNITS
from inventory_service.domain.stock_level import StockLevel
from tests.inventory_service.domain.books import (
    SHOP,
    a_book,
    a_level,
    a_reservation,
    numbers,
    stock_id,
    untouched,
)


def adjust(delta: int, sku: str = "A") -> AdjustStock:
    """An adjustment."""
    return AdjustStock(sku, delta, MovementReason.FOUND, "count 7", "behind the shelf", SHOP)


@pytest.mark.parametrize("delta", [1, 500, -1, -7])
def test_the_quantity_and_the_ledger_change_alike(delta: int) -> None:
    book = a_book([a_level("A", 10, reserved=3)])

    level = stock_changes.adjust(book, adjust(delta))

    assert isinstance(level, StockLevel)
    assert numbers(book) == {"A": (10 + delta, 3)}
    assert book.movements == [
        Movement(stock_id("A"), "A", delta, MovementReason.FOUND, SHOP.name, "count 7", "behind the shelf")
    ]


def test_units_that_are_held_cannot_go() -> None:
    book = a_book([a_level("A", 10, reserved=3)])

    refused = stock_changes.adjust(book, adjust(-8))

    assert isinstance(refused, StockHasHolds)
    assert (refused.quantity, refused.reserved_quantity) == (10, 3)
    assert untouched(book)


def test_holds_past_their_time_do_not_keep_units() -> None:
    book = a_book([a_level("A", 10, reserved=3)], a_reservation("old", {"A": 3}, expires_in=0))

    assert isinstance(stock_changes.adjust(book, adjust(-10)), StockLevel)
    assert numbers(book) == {"A": (0, 0)}


def test_more_than_there_is_cannot_go() -> None:
    book = a_book([a_level("A", 10)])

    refused = stock_changes.adjust(book, adjust(-11))

    assert isinstance(refused, InsufficientStock)
    assert refused.shortages == (Shortage("A", 11, 10),)
    assert untouched(book)


def test_a_stock_has_a_limit() -> None:
    book = a_book([a_level("A", MOST_UNITS - 5)])

    assert isinstance(stock_changes.adjust(book, adjust(6)), StockLimitExceeded)
    assert untouched(book)
    assert isinstance(stock_changes.adjust(book, adjust(5)), StockLevel)


def test_an_unknown_sku_and_a_stale_version_are_refused() -> None:
    book = a_book([a_level("A")])

    assert isinstance(stock_changes.adjust(book, adjust(1, "B")), StockNotFound)
    assert isinstance(stock_changes.adjust(book, replace(adjust(1), expected_version=2)), EtagMismatch)
    assert untouched(book)


@pytest.mark.parametrize(
    "change",
    [lambda level: level.hold(4), lambda level: level.give_back(3), lambda level: level.sell(3)],
    ids=["hold", "give back", "sell"],
)
def test_a_level_that_cannot_be_is_a_fault_and_not_a_number(
    change: Callable[[StockLevel], StockLevel],
) -> None:
    with pytest.raises(ValueError, match="reserved"):
        change(a_level("A", 5, reserved=2))
