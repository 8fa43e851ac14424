"""Commit, release, extend, expire: every state × verb, resolved exactly once."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from inventory_service.domain.commands import (
    Actor,
    CommitReservation,
    ExpireReservation,
    ExtendReservation,
    ReleaseReservation,
    ReservationCommand,
)
from inventory_service.domain.errors import (
    CallerNotAllowed,
    EtagMismatch,
    QuantityMismatch,
    Refusal,
    ReservationAlreadyResolved,
    ReservationExpired,
    ReservationNotFound,
    ReservationTombstoned,
    Shortage,
    StockInconsistent,
)
from inventory_service.domain.movement import MovementReason
from inventory_service.domain.reservation import Reservation, ReservationState, tombstone
from inventory_service.domain.reservation_verbs import decide
from inventory_service.domain.stock_book import StockBook
from tests.inventory_service.domain.books import (
    NOW,
    OPERATOR,
    SHOP,
    STRANGER,
    a_book,
    a_level,
    a_reservation,
    numbers,
    reserve,
    stock_id,
    untouched,
)

HOUR = timedelta(hours=1)
VERBS: dict[str, Callable[[Actor], ReservationCommand]] = {
    "commit": lambda actor: CommitReservation("r1", None, actor),
    "release": lambda actor: ReleaseReservation("r1", actor),
    "extend": lambda actor: ExtendReservation("r1", HOUR, actor),
    "expire": lambda actor: ExpireReservation("r1"),
}


def book_in(state: str) -> StockBook:
    """A book with the reservation r1 of 2 units of A (10 there) in a state."""
    match state:
        case "unknown":
            return a_book([a_level("A")])
        case "tombstoned":
            return a_book([a_level("A")], tombstone("r1", STRANGER.name, NOW))
        case "held":
            return a_book([a_level("A", 10, 2)], a_reservation("r1", {"A": 2}))
        case "due":
            return a_book([a_level("A", 10, 2)], a_reservation("r1", {"A": 2}, expires_in=0))
        case "committed":
            whole = a_reservation("r1", {"A": 2}).committed({"A": 2}, NOW)
            return a_book([a_level("A", 8)], whole)
        case "released":
            return a_book([a_level("A")], a_reservation("r1", {"A": 2}, ReservationState.RELEASED))
        case _:
            return a_book([a_level("A")], a_reservation("r1", {"A": 2}, expires_in=-9).expired())


# What each verb makes of each state: a state, or a refusal; and whether anything is to be saved.
TABLE: list[tuple[str, str, str | type[Refusal], bool]] = [
    ("unknown", "commit", ReservationNotFound, False),
    ("unknown", "release", "RELEASED", True),
    ("unknown", "extend", ReservationNotFound, False),
    ("unknown", "expire", ReservationNotFound, False),
    ("tombstoned", "commit", ReservationTombstoned, False),
    ("tombstoned", "release", "RELEASED", False),
    ("tombstoned", "extend", ReservationTombstoned, False),
    ("tombstoned", "expire", "RELEASED", False),
    ("held", "commit", "COMMITTED", True),
    ("held", "release", "RELEASED", True),
    ("held", "extend", "HELD", True),
    ("held", "expire", "HELD", False),
    ("due", "commit", ReservationExpired, False),
    ("due", "release", "EXPIRED", True),
    ("due", "extend", ReservationExpired, False),
    ("due", "expire", "EXPIRED", True),
    ("committed", "commit", "COMMITTED", False),
    ("committed", "release", ReservationAlreadyResolved, False),
    ("committed", "extend", ReservationAlreadyResolved, False),
    ("committed", "expire", "COMMITTED", False),
    ("released", "commit", ReservationAlreadyResolved, False),
    ("released", "release", "RELEASED", False),
    ("released", "extend", ReservationAlreadyResolved, False),
    ("released", "expire", "RELEASED", False),
    ("expired", "commit", ReservationExpired, False),
    ("expired", "release", "EXPIRED", False),
    ("expired", "extend", ReservationExpired, False),
    ("expired", "expire", "EXPIRED", False),
]


@pytest.mark.parametrize(("state", "verb", "expected", "saves"), TABLE)
def test_what_each_verb_makes_of_each_state(
    state: str, verb: str, expected: str | type[Refusal], saves: bool
) -> None:
    book = book_in(state)

    outcome = decide(book, VERBS[verb](SHOP))

    if isinstance(expected, str):
        assert isinstance(outcome, Reservation)
        assert outcome.state.name == expected
    else:
        assert type(outcome) is expected
    assert untouched(book) is not saves


@pytest.mark.parametrize("verb", ["commit", "release", "extend"])
@pytest.mark.parametrize("state", ["held", "due", "committed", "released", "expired"])
def test_only_its_maker_and_operators_resolve_a_reservation(state: str, verb: str) -> None:
    book = book_in(state)

    refused = decide(book, VERBS[verb](STRANGER))

    assert isinstance(refused, CallerNotAllowed)
    assert untouched(book)
    assert type(decide(book_in(state), VERBS[verb](OPERATOR))) is type(
        decide(book_in(state), VERBS[verb](SHOP))
    )


@pytest.mark.parametrize(
    "command",
    [
        CommitReservation("r1", None, SHOP, expected_version=7),
        ReleaseReservation("r1", SHOP, expected_version=7),
        ExtendReservation("r1", HOUR, SHOP, expected_version=7),
    ],
)
def test_a_stale_version_is_refused(
    command: CommitReservation | ReleaseReservation | ExtendReservation,
) -> None:
    book = book_in("held")

    assert isinstance(decide(book, command), EtagMismatch)
    assert untouched(book)
    fresh = replace(command, expected_version=1)
    assert isinstance(decide(book_in("held"), fresh), Reservation)


def test_a_repeated_commit_is_answered_before_its_version_is_looked_at() -> None:
    book = book_in("committed")

    assert isinstance(decide(book, CommitReservation("r1", None, SHOP, expected_version=1)), Reservation)


def test_commit_takes_units_off_the_shelf_and_writes_them_into_the_ledger() -> None:
    book = book_in("held")

    done = decide(book, CommitReservation("r1", None, SHOP))

    assert isinstance(done, Reservation)
    assert done.resolve_time == NOW
    assert done.version == 2
    assert done.committed_quantities == {"A": 2}
    assert numbers(book) == {"A": (8, 0)}
    [movement] = book.movements
    assert (movement.stock_id, movement.delta, movement.reason) == (stock_id("A"), -2, MovementReason.SOLD)
    assert (movement.reservation_id, movement.reference, movement.actor) == ("r1", "order:1", SHOP.name)


def test_commit_per_line_gives_the_rest_back() -> None:
    held = a_reservation("r1", {"A": 3, "B": 2})
    book = a_book([a_level("A", 10, 3), a_level("B", 10, 2)], held)

    done = decide(book, CommitReservation("r1", {"A": 1}, SHOP))

    assert isinstance(done, Reservation)
    assert done.committed_quantities == {"A": 1}
    assert numbers(book) == {"A": (9, 0), "B": (10, 0)}
    assert [movement.delta for movement in book.movements] == [-1]
    assert decide(book, CommitReservation("r1", {"A": 1}, SHOP)) is done
    assert isinstance(decide(book, CommitReservation("r1", None, SHOP)), ReservationAlreadyResolved)
    assert isinstance(decide(book, CommitReservation("r1", {"A": 2}, SHOP)), ReservationAlreadyResolved)


def test_commit_of_more_than_is_held_names_every_such_line() -> None:
    book = a_book([a_level("A", 10, 3), a_level("B", 10, 2)], a_reservation("r1", {"A": 3, "B": 2}))

    refused = decide(book, CommitReservation("r1", {"A": 4, "B": 2, "C": 1}, SHOP))

    assert isinstance(refused, QuantityMismatch)
    assert refused.lines == (Shortage("A", 4, 3), Shortage("C", 1, 0))
    assert untouched(book)


@pytest.mark.parametrize("verb", ["release", "expire"])
def test_units_given_back_are_available_again(verb: str) -> None:
    book = book_in("due" if verb == "expire" else "held")

    decide(book, VERBS[verb](SHOP))

    assert numbers(book) == {"A": (10, 0)}
    assert book.movements == []


def test_an_expired_hold_ended_at_its_time_however_late_the_sweep() -> None:
    book = a_book([a_level("A", 10, 2)], a_reservation("r1", {"A": 2}, expires_in=-3600))

    outcome = decide(book, ExpireReservation("r1"))

    assert isinstance(outcome, Reservation)
    assert outcome.resolve_time == NOW - HOUR


def test_extending_counts_from_now() -> None:
    book = a_book([a_level("A", 10, 2)], a_reservation("r1", {"A": 2}, expires_in=5))

    outcome = decide(book, ExtendReservation("r1", HOUR, SHOP))

    assert isinstance(outcome, Reservation)
    assert outcome.expire_time == NOW + HOUR
    assert numbers(book) == {}


def test_a_tombstone_is_a_released_reservation_without_lines() -> None:
    book = book_in("unknown")

    mark = decide(book, ReleaseReservation("r1", SHOP))

    assert isinstance(mark, Reservation)
    assert mark.tombstone
    assert mark.lines == ()
    assert book.new_reservations == [mark]


def test_a_reservation_made_and_resolved_in_one_batch_is_saved_once() -> None:
    book = a_book([a_level("A", 10)])

    decide(book, reserve("r1", {"A": 2}))
    decide(book, CommitReservation("r1", None, SHOP))

    assert [(made.reservation_id, made.state.name) for made in book.new_reservations] == [("r1", "COMMITTED")]
    assert book.changed_reservations == []
    assert numbers(book) == {"A": (8, 0)}


@pytest.mark.parametrize("verb", ["commit", "release"])
def test_more_units_than_the_stock_says_are_held_are_neither_sold_nor_given_back(verb: str) -> None:
    book = a_book([a_level("A", 10, 2), a_level("B", 10, 1)], a_reservation("r1", {"A": 2, "B": 2}))

    refused = decide(book, VERBS[verb](SHOP))

    assert isinstance(refused, StockInconsistent)
    assert (refused.sku, refused.reserved_quantity, refused.held_quantity) == ("B", 1, 2)
    assert untouched(book)
