"""What inventory's answers make of a package, late and doubled ones included."""

import itertools
from dataclasses import replace

import pytest

from delivery_service.domain.errors import IllegalTransition, NotYourPackage, PackageTooLarge, WrongActor
from delivery_service.domain.package import PackageItem
from delivery_service.domain.package_event import Actor
from delivery_service.domain.reservation import Shortage, StockCommand, reservation_id
from delivery_service.domain.settlement import rejected, requested, retry, settled
from delivery_service.domain.workflow import ActorRole, PackageState, StockState
from tests.delivery_service.domain.builders import NOW, a_package, owner

ANSWERED = {
    (StockCommand.RESERVE, StockState.REQUESTED): StockState.HELD,
    (StockCommand.COMMIT, StockState.COMMIT_PENDING): StockState.COMMITTED,
    (StockCommand.RELEASE, StockState.RELEASE_PENDING): StockState.RELEASED,
}


@pytest.mark.parametrize(("command", "stock_state"), list(itertools.product(StockCommand, StockState)))
def test_an_answer_counts_only_in_the_state_that_asked_for_it(
    command: StockCommand, stock_state: StockState
) -> None:
    package = a_package(stock_state=stock_state)

    after = settled(package, command, "PG1:1", NOW)

    assert after.stock_state is ANSWERED.get((command, stock_state), stock_state)
    assert settled(package, command, "PG1:9", NOW) is package


def test_a_rejection_tells_why_and_a_new_attempt_forgets_it() -> None:
    shortages = (Shortage("A", 2, 1, "short"),)
    refused = rejected(a_package(stock_state=StockState.REQUESTED), "PG1:1", "SHORT", shortages, NOW)
    assert (refused.stock_state, refused.rejection_reason) == (StockState.REJECTED, "SHORT")
    assert refused.shortages == shortages

    again = requested(refused, NOW)

    assert (again.stock_state, again.attempt, again.reservation_id) == (StockState.REQUESTED, 2, "PG1:2")
    assert (again.rejection_reason, again.shortages) == (None, ())


def test_a_late_rejection_changes_nothing() -> None:
    held = a_package(stock_state=StockState.HELD)
    assert rejected(held, "PG1:1", "SHORT", (), NOW) is held
    asked = a_package(stock_state=StockState.REQUESTED)
    assert rejected(asked, "PG1:0", "SHORT", (), NOW) is asked


@pytest.mark.parametrize(
    ("state", "stock_state", "leg"), list(itertools.product(PackageState, StockState, (0, 1)))
)
def test_only_an_early_package_without_a_hold_may_ask_again(
    state: PackageState, stock_state: StockState, leg: int
) -> None:
    package = a_package(state=state, stock_state=stock_state, leg=leg)
    early = state in (PackageState.PENDING, PackageState.PREPARED)
    without = stock_state in (StockState.REJECTED, StockState.NOT_TRACKED)

    if early and without and leg == 0:
        assert retry(package, owner(ActorRole.MERCHANT), None, None, NOW)[0].attempt == 2
    else:
        with pytest.raises(IllegalTransition):
            retry(package, owner(ActorRole.MERCHANT), None, None, NOW)


def test_only_the_own_merchant_a_dispatcher_or_the_system_asks_again() -> None:
    package = a_package(stock_state=StockState.REJECTED)

    with pytest.raises(WrongActor):
        retry(package, owner(ActorRole.DRIVER), None, None, NOW)
    with pytest.raises(NotYourPackage):
        retry(package, Actor(ActorRole.MERCHANT, "99"), None, None, NOW)
    retry(package, owner(ActorRole.DISPATCHER), None, None, NOW)


def test_an_old_package_that_no_reservation_can_name_does_not_ask() -> None:
    items = tuple(PackageItem(number, f"sku-{number}", 1) for number in range(201))
    package = a_package(stock_state=StockState.NOT_TRACKED, items=items)

    with pytest.raises(PackageTooLarge):
        retry(package, owner(ActorRole.MERCHANT), None, None, NOW)
    retry(replace(package, items=items[:200]), owner(ActorRole.MERCHANT), None, None, NOW)


def test_the_same_retry_again_is_the_package_as_it_is() -> None:
    actor = owner(ActorRole.MERCHANT)
    asking, event = retry(a_package(stock_state=StockState.REJECTED), actor, None, 1, NOW)

    assert retry(asking, actor, event, 1, NOW) == (asking, None)


def test_reservation_ids_are_the_same_for_ever_and_always_fit() -> None:
    assert reservation_id("PG1", 2) == "PG1:2"
    longest = ["x" * 63 + "a", "x" * 63 + "b"]
    made = {reservation_id(package_sn, attempt) for package_sn in longest for attempt in range(1, 200)}
    assert len(made) == 2 * 199
    assert max(map(len, made)) <= 64
    assert reservation_id(longest[0], 7) == reservation_id(longest[0], 7)


def test_there_is_nothing_to_hold_for_items_without_units() -> None:
    some = a_package(items=(PackageItem(1, "A", 2), PackageItem(None, "B", 0)))
    assert some.lines() == {"A": 2}

    none = a_package(stock_state=StockState.NOT_TRACKED, items=(PackageItem(None, "B", 0),))
    for package in (none, replace(none, items=())):
        with pytest.raises(IllegalTransition, match="nothing to hold"):
            retry(package, owner(ActorRole.MERCHANT), None, None, NOW)
