"""What the books of every store must do, be it Postgres or the simulator's memory.

Each function takes a runner of transactions and a sku of which ten units are there and none is held.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from inventory_service.application.answer_wishes import Wish, answer_wishes
from inventory_service.application.expire_due_reservations import expire_due_reservations
from inventory_service.domain.commands import (
    Actor,
    CommitReservation,
    ReleaseReservation,
    ReservationCommand,
    ReserveStock,
)
from inventory_service.domain.errors import InsufficientStock, ReservationTombstoned
from inventory_service.domain.reservation import Reservation, ReservationState
from inventory_service.domain.stock_level import StockLevel

Wait = Callable[[float], Awaitable[None]]
Check = Callable[[Any, Wait, str], Awaitable[None]]
SHOP = Actor("merchant:7")


def reserve(reservation_id: str, sku: str, units: int, ttl: timedelta | None = None) -> ReserveStock:
    return ReserveStock(reservation_id, "order:1", {sku: units}, ttl, SHOP)


async def decided(transactions: Any, *commands: ReservationCommand) -> list[Any]:
    """What became of commands that came together."""
    answers: list[Any] = await transactions.run(partial(answer_wishes, [Wish(each) for each in commands]))
    return answers


async def level(transactions: Any, sku: str) -> StockLevel:
    """The level as the books have it."""

    async def look(uow: Any) -> StockLevel:
        found: StockLevel = (await uow.books.open([reserve("look", sku, 1)])).level(sku)
        return found

    found: StockLevel = await transactions.run(look)
    return found


async def what_was_decided_is_there_for_the_next(transactions: Any, wait: Wait, sku: str) -> None:
    first, refused = await decided(transactions, reserve(f"{sku}-1", sku, 7), reserve(f"{sku}-2", sku, 4))
    assert first.state is ReservationState.HELD
    assert isinstance(refused, InsufficientStock)

    [again] = await decided(transactions, reserve(f"{sku}-1", sku, 7))
    assert again == first
    assert (await level(transactions, sku)).available_quantity == 3

    [sold] = await decided(transactions, CommitReservation(f"{sku}-1", None, SHOP))
    left = await level(transactions, sku)
    assert (left.quantity, left.reserved_quantity) == (3, 0)
    assert await transactions.run(lambda uow: uow.reservations.get(f"{sku}-1")) == sold


async def an_id_that_was_closed_before_it_was_used_stays_closed(
    transactions: Any, wait: Wait, sku: str
) -> None:
    [closed] = await decided(transactions, ReleaseReservation(f"{sku}-1", SHOP))
    assert closed.tombstone

    [refused] = await decided(transactions, reserve(f"{sku}-1", sku, 1))

    assert isinstance(refused, ReservationTombstoned)
    assert (await level(transactions, sku)).reserved_quantity == 0


async def a_sale_finds_the_units_of_a_hold_that_is_past_its_time(
    transactions: Any, wait: Wait, sku: str
) -> None:
    await decided(transactions, reserve(f"{sku}-1", sku, 10, timedelta(seconds=0.1)))
    await wait(0.15)

    [held] = await decided(transactions, reserve(f"{sku}-2", sku, 10))

    assert held.state is ReservationState.HELD
    late: Reservation = await transactions.run(lambda uow: uow.reservations.get(f"{sku}-1"))
    assert late.state is ReservationState.EXPIRED


async def a_sweep_gives_back_what_is_due_and_nothing_else(transactions: Any, wait: Wait, sku: str) -> None:
    await decided(
        transactions,
        reserve(f"{sku}-1", sku, 2, timedelta(seconds=0.1)),
        reserve(f"{sku}-2", sku, 3, timedelta(hours=1)),
        reserve(f"{sku}-3", sku, 4),
    )
    await wait(0.15)

    swept = await transactions.run(partial(expire_due_reservations, 100))

    assert (swept.due, swept.kept) == (1, {})
    assert (await level(transactions, sku)).reserved_quantity == 7


async def what_is_not_committed_leaves_nothing(transactions: Any, wait: Wait, sku: str) -> None:
    class Away(Exception):
        pass

    async def work(uow: Any) -> None:
        await answer_wishes([Wish(reserve(f"{sku}-1", sku, 5))], uow)
        raise Away

    with pytest.raises(Away):
        await transactions.run(work)

    assert (await level(transactions, sku)).reserved_quantity == 0
    assert await transactions.run(lambda uow: uow.reservations.get(f"{sku}-1")) is None


CHECKS: tuple[Check, ...] = (
    what_was_decided_is_there_for_the_next,
    an_id_that_was_closed_before_it_was_used_stays_closed,
    a_sale_finds_the_units_of_a_hold_that_is_past_its_time,
    a_sweep_gives_back_what_is_due_and_nothing_else,
    what_is_not_committed_leaves_nothing,
)
