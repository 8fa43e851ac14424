"""Reserving: all lines or none, every shortage at once, the same id once."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from inventory_service.domain.commands import ReleaseReservation, ReserveStock
from inventory_service.domain.errors import (
    InsufficientStock,
    ReservationExists,
    ReservationTombstoned,
    Shortage,
    StockNotFound,
    StockNotSellable,
    UnsellableLine,
)
from inventory_service.domain.reservation import Reservation, ReservationState, tombstone
from inventory_service.domain.reservation_verbs import decide
from inventory_service.domain.stock import SELLABLE, StockStatus
from tests.inventory_service.domain.books import (
    NOW,
    OPERATOR,
    SHOP,
    a_book,
    a_level,
    a_reservation,
    numbers,
    reserve,
    untouched,
)


def test_every_line_is_held() -> None:
    book = a_book([a_level("A", 10), a_level("B", 5, reserved=2)])

    made = decide(book, reserve("r1", {"A": 10, "B": 3}, ttl=timedelta(minutes=5)))

    assert isinstance(made, Reservation)
    assert made.state is ReservationState.HELD
    assert made.quantities == {"A": 10, "B": 3}
    assert made.expire_time == NOW + timedelta(minutes=5)
    assert numbers(book) == {"A": (10, 10), "B": (5, 5)}
    assert book.new_reservations == [made]
    assert book.movements == []


@pytest.mark.parametrize("wish", [reserve("PG1:1", {"A": 1}), ReleaseReservation("PG1:1", SHOP)])
def test_an_id_like_those_of_another_is_for_that_one_and_operators(
    wish: ReserveStock | ReleaseReservation,
) -> None:
    others_ids = (re.compile(".+:[0-9]+"),)
    book = a_book([a_level("A")])

    refused = decide(book, replace(wish, actor=replace(SHOP, others_ids=others_ids)))
    assert (str(refused), untouched(book)) == ("reservation PG1:1 is not merchant:7's", True)

    for actor in (SHOP, replace(OPERATOR, others_ids=others_ids)):
        assert isinstance(decide(a_book([a_level("A")]), replace(wish, actor=actor)), Reservation)
    plain = replace(wish, reservation_id="cart-1", actor=replace(SHOP, others_ids=others_ids))
    assert isinstance(decide(book, plain), Reservation)


def test_a_hold_without_ttl_never_expires() -> None:
    made = decide(a_book([a_level("A")]), reserve("r1", {"A": 1}))

    assert isinstance(made, Reservation)
    assert made.expire_time is None
    assert not made.is_due(NOW + timedelta(days=10_000))


def test_all_shortages_are_told_at_once_and_nothing_is_held() -> None:
    book = a_book([a_level("A", 10), a_level("B", 5, reserved=5), a_level("C", 0)])

    refused = decide(book, reserve("r1", {"A": 4, "B": 1, "C": 2}))

    assert isinstance(refused, InsufficientStock)
    assert refused.shortages == (Shortage("B", 1, 0), Shortage("C", 2, 0))
    assert list(refused.violations()) == [
        ("B", "requested 1, available 0"),
        ("C", "requested 2, available 0"),
    ]
    assert untouched(book)


def test_all_unknown_skus_are_told_at_once() -> None:
    book = a_book([a_level("B")])

    refused = decide(book, reserve("r1", {"C": 1, "B": 1, "A": 1}))

    assert isinstance(refused, StockNotFound)
    assert refused.skus == ("A", "C")
    assert untouched(book)


@pytest.mark.parametrize("status", StockStatus)
def test_only_some_statuses_can_be_reserved(status: StockStatus) -> None:
    book = a_book([a_level("A", status=status)])

    outcome = decide(book, reserve("r1", {"A": 1}))

    if status in (StockStatus.IN_STOCK, StockStatus.PRESALE, StockStatus.PREORDER):
        assert status in SELLABLE
        assert isinstance(outcome, Reservation)
    else:
        assert isinstance(outcome, StockNotSellable)
        assert outcome.lines == (UnsellableLine("A", status.name),)
        assert untouched(book)


def test_the_same_id_with_equal_content_answers_what_is_there_and_changes_nothing() -> None:
    held = a_reservation("r1", {"A": 2})
    book = a_book([a_level("A", 2, reserved=2)], held)

    assert decide(book, reserve("r1", {"A": 2})) is held
    assert untouched(book)


def test_the_same_id_answers_the_reservation_as_it_is_now() -> None:
    released = a_reservation("r1", {"A": 2}, ReservationState.RELEASED)

    assert decide(a_book([a_level("A", 0)], released), reserve("r1", {"A": 2})) is released


def test_the_same_id_of_a_hold_past_its_time_answers_expired() -> None:
    due = replace(a_reservation("r1", {"A": 2}, expires_in=0), ttl=timedelta(hours=1))

    outcome = decide(
        a_book([a_level("A", 2, reserved=2)], due), reserve("r1", {"A": 2}, ttl=timedelta(hours=1))
    )

    assert isinstance(outcome, Reservation)
    assert outcome.state is ReservationState.EXPIRED


@pytest.mark.parametrize(
    "other",
    [
        reserve("r1", {"A": 3}),
        reserve("r1", {"A": 2, "B": 1}),
        reserve("r1", {"B": 2}),
        reserve("r1", {"A": 2}, ttl=timedelta(seconds=9)),
        replace(reserve("r1", {"A": 2}), holder="order:2"),
    ],
)
def test_the_same_id_with_other_content_is_refused(other: object) -> None:
    book = a_book([a_level("A", 9, reserved=2), a_level("B")], a_reservation("r1", {"A": 2}))

    outcome = decide(book, other)  # type: ignore[arg-type]

    assert isinstance(outcome, ReservationExists)
    assert untouched(book)


def test_a_tombstoned_id_holds_nothing() -> None:
    book = a_book([a_level("A")], tombstone("r1", "anybody", NOW))

    assert isinstance(decide(book, reserve("r1", {"A": 1})), ReservationTombstoned)
    assert untouched(book)


def test_commands_of_one_batch_see_each_other() -> None:
    book = a_book([a_level("A", 3)])

    first = decide(book, reserve("r1", {"A": 2}))
    again = decide(book, reserve("r1", {"A": 2}))
    short = decide(book, reserve("r2", {"A": 2}))
    last = decide(book, reserve("r3", {"A": 1}))

    assert first is again
    assert isinstance(short, InsufficientStock)
    assert short.shortages == (Shortage("A", 2, 1),)
    assert isinstance(last, Reservation)
    assert numbers(book) == {"A": (3, 3)}
    assert [made.reservation_id for made in book.new_reservations] == ["r1", "r3"]


def test_holds_past_their_time_make_room_where_it_is_short() -> None:
    due = a_reservation("old", {"A": 3, "B": 1}, expires_in=-1)
    open_hold = a_reservation("young", {"A": 1}, expires_in=60)
    book = a_book([a_level("A", 4, reserved=4), a_level("B", 1, reserved=1)], due, open_hold)

    made = decide(book, reserve("r1", {"A": 3}))

    assert isinstance(made, Reservation)
    assert numbers(book) == {"A": (4, 4), "B": (1, 0)}
    [expired] = book.changed_reservations
    assert (expired.reservation_id, expired.state) == ("old", ReservationState.EXPIRED)
    assert expired.resolve_time == due.expire_time


def test_holds_past_their_time_are_left_to_the_sweeper_where_there_is_room() -> None:
    due = a_reservation("old", {"A": 3}, expires_in=-1)
    book = a_book([a_level("A", 10, reserved=3)], due)

    decide(book, reserve("r1", {"A": 3}))

    assert book.changed_reservations == []


def test_what_is_still_short_after_expiry_is_told_with_the_room_made() -> None:
    due = a_reservation("old", {"A": 3}, expires_in=0)
    book = a_book([a_level("A", 4, reserved=4)], due, a_reservation("young", {"A": 1}))

    refused = decide(book, reserve("r1", {"A": 4}))

    assert isinstance(refused, InsufficientStock)
    assert refused.shortages == (Shortage("A", 4, 3),)
