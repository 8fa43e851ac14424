"""What is decided where two records of a package disagree, for every way in which they can."""

import itertools
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from delivery_service.domain.directory import Driver
from delivery_service.domain.drift import (
    StockRepair,
    leads_to,
    lost_events,
    may_have_claimed,
    stock_repair,
    stock_repaired,
)
from delivery_service.domain.package import Package
from delivery_service.domain.package_event import Actor, PackageEvent
from delivery_service.domain.reservation import TAKEN, StockCommand
from delivery_service.domain.workflow import ActorRole, PackageState, StockState, Verb, Workflow
from tests.delivery_service.domain.builders import a_package

NOW = datetime(2026, 2, 3, tzinfo=UTC)
HOLDS = (None, "HELD", "COMMITTED", "RELEASED", "EXPIRED")


def cases() -> Iterator[tuple[Package, str | None, bool]]:
    """Every state of a package with every state of its hold."""
    for state, stock, hold, same in itertools.product(PackageState, StockState, HOLDS, (True, False)):
        yield a_package(state=state, stock_state=stock), hold, same


def commands_of(one: Package, hold: str | None, same: bool) -> list[tuple[str | None, StockCommand]]:
    repair = stock_repair(one, hold, same_lines=same)
    if repair in (StockRepair.FINE, StockRepair.BY_HAND):
        return []
    return [(at.reservation_id, command) for at, command in stock_repaired(one, repair, NOW)[1]]


def test_no_repair_books_goods_out_that_are_on_the_shelf_and_none_gives_back_what_left() -> None:
    for one, hold, same in cases():
        told = [command for _, command in commands_of(one, hold, same)]
        if one.state.off_shelf:
            assert told == [] or told[-1] is StockCommand.COMMIT, (one.state, one.stock_state, hold)
        else:
            assert StockCommand.COMMIT not in told, (one.state, one.stock_state, hold)


def test_what_inventory_has_booked_out_is_never_released() -> None:
    for one, hold, same in cases():
        if hold == "COMMITTED":
            assert ("PG1:1", StockCommand.RELEASE) not in commands_of(one, hold, same)


def test_a_hold_that_is_gone_is_never_asked_for_or_committed_under_its_old_id() -> None:
    for one, hold, same in cases():
        if hold in ("RELEASED", "EXPIRED"):
            told = commands_of(one, hold, same)
            assert ("PG1:1", StockCommand.COMMIT) not in told
            assert ("PG1:1", StockCommand.RESERVE) not in told


@pytest.mark.parametrize(
    ("state", "same", "repair"),
    [
        (PackageState.PENDING, True, StockRepair.ASK_AGAIN),
        (PackageState.PREPARED, True, StockRepair.ASK_AGAIN),
        (PackageState.PREPARED, False, StockRepair.CLOSE),
        (PackageState.CANCELLED, True, StockRepair.CLOSE),
    ],
)
def test_a_rejected_package_whose_goods_inventory_holds_is_held(
    state: PackageState, same: bool, repair: StockRepair
) -> None:
    rejected = a_package(state=state, stock_state=StockState.REJECTED)

    assert stock_repair(rejected, "HELD", same_lines=same) is repair


def test_what_is_no_repair_is_never_carried_out() -> None:
    for repair in (StockRepair.FINE, StockRepair.BY_HAND):
        with pytest.raises(KeyError):
            stock_repaired(a_package(stock_state=StockState.COMMITTED), repair, NOW)


def test_each_repair_leaves_the_package_as_its_last_command_needs_it() -> None:
    rejected = a_package(stock_state=StockState.REJECTED, rejection_reason="INSUFFICIENT_STOCK")
    told = {
        repair: stock_repaired(rejected, repair, NOW)
        for repair in StockRepair
        if repair not in (StockRepair.FINE, StockRepair.BY_HAND)
    }

    states = {repair.name: (str(one.stock_state), one.attempt) for repair, (one, _) in told.items()}
    assert states == {
        "ASK_AGAIN": ("REQUESTED", 1),
        "ASK_ANEW": ("REQUESTED", 2),
        "EXCHANGE": ("REQUESTED", 2),
        "COMMIT": ("COMMIT_PENDING", 1),
        "RESERVE_AND_COMMIT": ("COMMIT_PENDING", 2),
        "EXCHANGE_AND_COMMIT": ("COMMIT_PENDING", 2),
        "RELEASE": ("RELEASE_PENDING", 1),
        "CLOSE": ("REJECTED", 1),
    }
    assert [(at.attempt, str(command)) for at, command in told[StockRepair.EXCHANGE_AND_COMMIT][1]] == [
        (1, "RELEASE"),
        (2, "RESERVE"),
        (2, "COMMIT"),
    ]


def test_nothing_is_told_of_an_id_that_is_somebody_elses() -> None:
    for one, hold, same in cases():
        taken = replace(one, stock_state=StockState.REJECTED, rejection_reason=TAKEN)
        assert stock_repair(taken, hold, same_lines=same) is StockRepair.FINE


def event(sequence: int, before: PackageState | None, after: PackageState) -> PackageEvent:
    actor = Actor(ActorRole.SYSTEM, "tests")
    return PackageEvent(sequence, Verb.PREPARE, before, after, actor, None, (), "", NOW)


def test_lost_events_stand_between_those_that_are_left() -> None:
    pending, prepared, delivered = PackageState.PENDING, PackageState.PREPARED, PackageState.DELIVERED
    left = [event(2, pending, prepared), event(5, delivered, delivered)]

    assert lost_events(left, delivered, least=5) == [
        (1, None, pending),
        (3, prepared, delivered),
        (4, delivered, delivered),
    ]
    assert lost_events([event(1, None, pending)], prepared, least=9) == []


def test_where_all_events_are_lost_there_are_as_many_as_photos_tell_of() -> None:
    prepared = PackageState.PREPARED

    assert lost_events([], prepared, least=2) == [(1, None, prepared), (2, prepared, prepared)]


ACTIVE = Driver(5, "D", "1", active=True)


@pytest.mark.parametrize(
    ("state", "workflow", "before", "driver", "kept"),
    [
        (PackageState.PREPARED, Workflow.DRIVER_TO_USER, None, ACTIVE, True),
        (PackageState.PREPARED, Workflow.DRIVER_TO_USER, 6, ACTIVE, False),
        (PackageState.PREPARED, Workflow.DRIVER_TO_USER, None, replace(ACTIVE, active=False), False),
        (PackageState.PREPARED, Workflow.DRIVER_TO_USER, None, None, False),
        (PackageState.PREPARED, Workflow.MERCHANT_TO_USER, None, ACTIVE, False),
        (PackageState.PICKED_UP, Workflow.DRIVER_TO_USER, None, ACTIVE, False),
    ],
)
def test_only_who_could_have_claimed_keeps_a_package_that_nobody_had(
    state: PackageState, workflow: Workflow, before: int | None, driver: Driver | None, kept: bool
) -> None:
    one = a_package(state=state, workflow=workflow, driver_id=5)

    assert may_have_claimed(one, before, driver) is kept


def test_a_way_leads_forward_only() -> None:
    one = a_package(workflow=Workflow.DRIVER_TO_USER)

    assert leads_to(one, PackageState.PENDING, PackageState.DELIVERED)
    assert not leads_to(one, PackageState.DELIVERED, PackageState.PENDING)
    assert not leads_to(one, PackageState.PENDING, PackageState.WAREHOUSE_RECEIVED)
    assert not leads_to(one, PackageState.PICKED_UP, PackageState.CANCELLED)
