"""What a verb changes beside the state, and when it changes nothing."""

from dataclasses import replace

import pytest

from delivery_service.domain.directory import Driver
from delivery_service.domain.errors import (
    DriverInactive,
    DriverNotFound,
    EtagMismatch,
    EvidenceAlreadyUsed,
    EvidenceUnfit,
    IllegalTransition,
)
from delivery_service.domain.evidence import Evidence
from delivery_service.domain.move import Move, apply_move
from delivery_service.domain.package import Package
from delivery_service.domain.package_event import Actor, PackageEvent
from delivery_service.domain.transitions import Onward
from delivery_service.domain.workflow import ActorRole, EvidenceKind, PackageState, StockState, Verb
from tests.delivery_service.domain.builders import DRIVER, NOW, a_package, a_photo, owner

MERCHANT, DISPATCHER = owner(ActorRole.MERCHANT), owner(ActorRole.DISPATCHER)
ACTIVE = Driver(DRIVER, "", "", active=True)


def apply(
    package: Package,
    move: Move,
    last: PackageEvent | None = None,
    evidence: list[Evidence] | None = None,
    driver: Driver | None = ACTIVE,
) -> tuple[Package, PackageEvent | None]:
    return apply_move(package, move, last, Onward(), evidence or [], driver, NOW)


def test_the_last_verb_again_by_the_same_actor_with_equal_photos_changes_nothing() -> None:
    prepare = Move(Verb.PREPARE, MERCHANT, ("e1",), expected_version=1)
    photo = a_photo(EvidenceKind.PREPARATION)
    package, event = apply(a_package(), prepare, evidence=[photo])

    again = apply(package, prepare, event, [replace(photo, used=True)])

    assert again == (package, None)


@pytest.mark.parametrize(
    "other",
    [
        Move(Verb.PREPARE, Actor(ActorRole.MERCHANT, "other"), ("e1",)),
        Move(Verb.PREPARE, MERCHANT, ("e2",)),
        Move(Verb.PREPARE, MERCHANT),
    ],
)
def test_the_last_verb_by_another_actor_or_with_other_photos_is_illegal(other: Move) -> None:
    prepare = Move(Verb.PREPARE, MERCHANT, ("e1",))
    package, event = apply(a_package(), prepare, evidence=[a_photo(EvidenceKind.PREPARATION)])

    with pytest.raises(IllegalTransition):
        apply(package, other, event, [a_photo(EvidenceKind.PREPARATION)])


def test_a_stale_version_loses() -> None:
    with pytest.raises(EtagMismatch):
        apply(a_package(version=4), Move(Verb.CANCEL, MERCHANT, note="late", expected_version=3))


def test_claiming_sets_the_driver_and_giving_back_clears_driver_and_time() -> None:
    driver = owner(ActorRole.DRIVER)
    package = a_package(state=PackageState.PREPARED)

    claimed, event = apply(package, Move(Verb.CLAIM, driver, driver_id=DRIVER))
    freed, _ = apply(claimed, Move(Verb.RELEASE_CLAIM, driver), event)

    assert (claimed.driver_id, claimed.step_times[Verb.CLAIM]) == (DRIVER, NOW)
    assert (freed.driver_id, freed.step_times) == (None, {})


def test_the_driver_whom_a_dispatcher_assigned_need_not_claim() -> None:
    package, event = apply(
        a_package(state=PackageState.PREPARED), Move(Verb.ASSIGN_DRIVER, DISPATCHER, driver_id=DRIVER)
    )

    claim = Move(Verb.CLAIM, owner(ActorRole.DRIVER), driver_id=DRIVER)
    assert apply(package, claim, event) == (package, None)


@pytest.mark.parametrize(
    ("driver", "refusal"), [(None, DriverNotFound), (replace(ACTIVE, active=False), DriverInactive)]
)
@pytest.mark.parametrize("verb", [Verb.CLAIM, Verb.ASSIGN_DRIVER])
def test_only_an_active_driver_takes_a_package(
    verb: Verb, driver: Driver | None, refusal: type[Exception]
) -> None:
    actor = DISPATCHER if verb is Verb.ASSIGN_DRIVER else owner(ActorRole.DRIVER)

    with pytest.raises(refusal):
        apply(a_package(state=PackageState.PREPARED), Move(verb, actor, driver_id=DRIVER), driver=driver)


@pytest.mark.parametrize(
    ("photos", "refusal"),
    [
        ([a_photo(EvidenceKind.PREPARATION, package_sn="PG2")], EvidenceUnfit),
        ([a_photo(EvidenceKind.DELIVERY)], EvidenceUnfit),
        ([a_photo(EvidenceKind.PREPARATION, used=True)], EvidenceAlreadyUsed),
        (
            [a_photo(EvidenceKind.PREPARATION), a_photo(EvidenceKind.PREPARATION, evidence_id="e2")],
            EvidenceAlreadyUsed,
        ),
    ],
)
def test_only_a_fresh_photo_of_this_package_and_kind_is_proof(
    photos: list[Evidence], refusal: type[Exception]
) -> None:
    move = Move(Verb.PREPARE, MERCHANT, tuple(photo.evidence_id for photo in photos))

    with pytest.raises(refusal):
        apply(a_package(), move, evidence=photos)


def test_cancelling_a_package_without_a_hold_asks_nothing_of_inventory() -> None:
    package, _ = apply(
        a_package(stock_state=StockState.NOT_TRACKED), Move(Verb.CANCEL, MERCHANT, note="no more")
    )

    assert (package.state, package.stock_state) == (PackageState.CANCELLED, StockState.NOT_TRACKED)
