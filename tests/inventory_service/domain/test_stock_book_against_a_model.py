"""Random batches against a plain model: units are never lost, made or promised twice."""

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from inventory_service.domain.commands import (
    CommitReservation,
    ExtendReservation,
    ReleaseReservation,
    ReservationCommand,
)
from inventory_service.domain.reservation import ReservationState
from inventory_service.domain.reservation_verbs import decide
from tests.inventory_service.domain.books import SHOP, a_book, a_level, a_reservation, reserve

ids = st.sampled_from(["r1", "r2", "r3", "r4"])
quantities = st.dictionaries(st.sampled_from(["A", "B", "C"]), st.integers(1, 6), min_size=1)
commands: st.SearchStrategy[ReservationCommand] = st.one_of(
    st.builds(reserve, ids, quantities),
    st.builds(CommitReservation, ids, st.none() | quantities, st.just(SHOP)),
    st.builds(ReleaseReservation, ids, st.just(SHOP)),
    st.builds(ExtendReservation, ids, st.just(timedelta(hours=1)), st.just(SHOP)),
)


@settings(max_examples=400, deadline=None)
@given(st.lists(commands, max_size=25))
def test_after_any_batch_reserved_is_the_sum_of_open_holds_and_quantity_that_of_movements(
    batch: list[ReservationCommand],
) -> None:
    opening = {"A": 10, "B": 6, "C": 3}
    due = a_reservation("old", {"A": 2, "B": 2}, expires_in=-1)
    opened = [a_level("A", 10, 2), a_level("B", 6, 2), a_level("C", 3)]
    book = a_book(opened, due)
    ever = {"old": due}

    for command in batch:
        decide(book, command)
        resolved = {key: kept for key, kept in ever.items() if kept.state is not ReservationState.HELD}
        ever |= {made.reservation_id: made for made in (*book.new_reservations, *book.changed_reservations)}
        assert {key: ever[key] for key in resolved} == resolved

    levels = {level.sku: level for level in (*opened, *book.changed_levels)}
    for sku, level in levels.items():
        held = sum(
            reservation.quantities.get(sku, 0)
            for reservation in ever.values()
            if reservation.state is ReservationState.HELD
        )
        moved = sum(movement.delta for movement in book.movements if movement.stock_id == level.stock_id)
        assert level.reserved_quantity == held
        assert level.quantity == opening[sku] + moved
        assert 0 <= level.reserved_quantity <= level.quantity
