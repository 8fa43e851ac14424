"""What changes of one stock do to the book: adjustments, counts, removal, another status.

A refusal is a value, so that one command of a batch never hides what another would have answered.
"""

from inventory_service.domain.commands import AdjustStock, ChangeStockStatus, DeleteStock, SetStockQuantity
from inventory_service.domain.errors import (
    IllegalStatusChange,
    InsufficientStock,
    QuantityMismatch,
    Refusal,
    Shortage,
    StockHasHolds,
    StockLimitExceeded,
)
from inventory_service.domain.movement import Movement, MovementReason
from inventory_service.domain.stock import MOST_UNITS
from inventory_service.domain.stock_book import StockBook
from inventory_service.domain.stock_level import StockLevel
from inventory_service.domain.stock_statuses import FOLLOWING, TERMINAL


def adjust(book: StockBook, command: AdjustStock) -> StockLevel | Refusal:
    """The level after units came or went, or why they cannot."""
    try:
        book.level(command.sku, command.expected_version)
        return _move(book, command, command.delta, command.reason)
    except Refusal as refusal:
        return refusal


def count(book: StockBook, command: SetStockQuantity) -> StockLevel | Refusal:
    """The level after a count, or why it cannot be so; a count that agrees changes nothing."""
    try:
        level = book.level(command.sku)
        if level.quantity != command.expected_quantity:
            raise QuantityMismatch(
                sku=level.sku, quantity=level.quantity, expected_quantity=command.expected_quantity
            )
        delta = command.quantity - level.quantity
        return _move(book, command, delta, MovementReason.COUNT_CORRECTION) if delta else level
    except Refusal as refusal:
        return refusal


def delete(book: StockBook, command: DeleteStock) -> StockLevel | Refusal:
    """The level of a stock that may go, or why it must stay."""
    try:
        book.level(command.sku, command.expected_version)
        level = _unheld(book, command.sku)
        if level.quantity:
            raise QuantityMismatch(sku=level.sku, quantity=level.quantity, expected_quantity=0)
        return level
    except Refusal as refusal:
        return refusal


def change_status(book: StockBook, command: ChangeStockStatus) -> StockLevel | Refusal:
    """The level in its present status, which may be left for the one asked; or why it may not."""
    try:
        level = book.level(command.sku, command.expected_version)
        allowed = FOLLOWING[level.status]
        if command.status not in allowed:
            raise IllegalStatusChange(
                level.sku, level.status.name, command.status.name, tuple(status.name for status in allowed)
            )
        return _unheld(book, command.sku) if command.status in TERMINAL else level
    except Refusal as refusal:
        return refusal


def _unheld(book: StockBook, sku: str) -> StockLevel:
    if book.level(sku).reserved_quantity:
        book.expire_due_holds([sku])
    level = book.level(sku)
    if level.reserved_quantity:
        raise StockHasHolds(sku, level.quantity, level.reserved_quantity)
    return level


def _move(
    book: StockBook, command: AdjustStock | SetStockQuantity, delta: int, reason: MovementReason
) -> StockLevel:
    level = book.level(command.sku)
    if level.quantity + delta < level.reserved_quantity:
        book.expire_due_holds([command.sku])
        level = book.level(command.sku)
    remaining = level.quantity + delta
    if remaining > MOST_UNITS:
        raise StockLimitExceeded(command.sku, level.quantity, MOST_UNITS)
    if remaining < level.reserved_quantity and level.reserved_quantity:
        raise StockHasHolds(command.sku, level.quantity, level.reserved_quantity)
    if remaining < 0:
        raise InsufficientStock((Shortage(command.sku, -delta, level.quantity),))
    book.movements.append(
        Movement(
            level.stock_id,
            level.sku,
            delta,
            reason,
            command.actor.name,
            command.reference,
            command.note,
        )
    )
    return book.put_level(level.adjust(delta))
