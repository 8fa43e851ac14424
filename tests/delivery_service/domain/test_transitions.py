"""The table, exhaustively, against a statement of its own: every workflow, leg, state, verb, role and photo."""

import itertools
from dataclasses import replace

import pytest

from delivery_service.domain.directory import Driver
from delivery_service.domain.errors import (
    EvidenceMissing,
    EvidenceUnfit,
    IllegalTransition,
    NotYourPackage,
    PackageClaimed,
    Refusal,
    StockNotHeld,
    WrongActor,
)
from delivery_service.domain.move import Move, apply_move
from delivery_service.domain.package import Package
from delivery_service.domain.package_event import Actor, PackageEvent
from delivery_service.domain.transitions import TRANSITIONS, Onward, explain, open_verbs, permit
from delivery_service.domain.workflow import (
    ActorRole,
    EvidenceKind,
    PackageState,
    StockState,
    Verb,
    Workflow,
)
from tests.delivery_service.domain.builders import DRIVER, NOW, a_package, a_photo, owner

# workflow, leg: from state, verb -> to state, roles, photo, what becomes of a hold. "=" stays.
# M merchant, D driver, W warehouse, C dispatcher, S system.
STATED = """
MERCHANT_TO_WAREHOUSE 0 PENDING            PREPARE       PREPARED           M   PREPARATION =
MERCHANT_TO_WAREHOUSE 0 PREPARED           RECEIVE       WAREHOUSE_RECEIVED W   RECEIPT     COMMIT_PENDING
MERCHANT_TO_WAREHOUSE 0 WAREHOUSE_RECEIVED SHIP          OUT_FOR_DELIVERY   W   SHIPPING    =
MERCHANT_TO_WAREHOUSE 0 OUT_FOR_DELIVERY   DELIVER       DELIVERED          W   DELIVERY    =
MERCHANT_TO_WAREHOUSE 0 DELIVERED          COMPLETE      COMPLETED          MCS -           =
MERCHANT_TO_WAREHOUSE 0 PENDING            CANCEL        CANCELLED          MC  -           RELEASE_PENDING
MERCHANT_TO_WAREHOUSE 0 PREPARED           CANCEL        CANCELLED          MC  -           RELEASE_PENDING
MERCHANT_TO_USER      0 PENDING            PREPARE       PREPARED           M   PREPARATION =
MERCHANT_TO_USER      0 PREPARED           DELIVER       DELIVERED          M   DELIVERY    COMMIT_PENDING
MERCHANT_TO_USER      0 DELIVERED          COMPLETE      COMPLETED          MCS -           =
MERCHANT_TO_USER      0 PENDING            CANCEL        CANCELLED          MC  -           RELEASE_PENDING
MERCHANT_TO_USER      0 PREPARED           CANCEL        CANCELLED          MC  -           RELEASE_PENDING
DRIVER_TO_WAREHOUSE   0 PENDING            PREPARE       PREPARED           M   PREPARATION =
DRIVER_TO_WAREHOUSE   0 PREPARED           CLAIM         PREPARED           D   -           =
DRIVER_TO_WAREHOUSE   0 PREPARED           RELEASE_CLAIM PREPARED           DC  -           =
DRIVER_TO_WAREHOUSE   0 PREPARED           ASSIGN_DRIVER PREPARED           C   -           =
DRIVER_TO_WAREHOUSE   0 PICKED_UP          ASSIGN_DRIVER PICKED_UP          C   -           =
DRIVER_TO_WAREHOUSE   0 AT_WAREHOUSE       ASSIGN_DRIVER AT_WAREHOUSE       C   -           =
DRIVER_TO_WAREHOUSE   0 PREPARED           PICK_UP       PICKED_UP          D   COLLECTION  COMMIT_PENDING
DRIVER_TO_WAREHOUSE   0 PICKED_UP          ARRIVE        AT_WAREHOUSE       D   ARRIVAL     =
DRIVER_TO_WAREHOUSE   0 AT_WAREHOUSE       RECEIVE       WAREHOUSE_RECEIVED W   RECEIPT     =
DRIVER_TO_WAREHOUSE   0 WAREHOUSE_RECEIVED SHIP          OUT_FOR_DELIVERY   W   SHIPPING    =
DRIVER_TO_WAREHOUSE   0 OUT_FOR_DELIVERY   DELIVER       DELIVERED          W   DELIVERY    =
DRIVER_TO_WAREHOUSE   0 DELIVERED          COMPLETE      COMPLETED          MCS -           =
DRIVER_TO_WAREHOUSE   0 PENDING            CANCEL        CANCELLED          MC  -           RELEASE_PENDING
DRIVER_TO_WAREHOUSE   0 PREPARED           CANCEL        CANCELLED          MC  -           RELEASE_PENDING
DRIVER_TO_USER        0 PENDING            PREPARE       PREPARED           M   PREPARATION =
DRIVER_TO_USER        1 PENDING            PREPARE       PREPARED           W   PREPARATION =
DRIVER_TO_USER        * PREPARED           CLAIM         PREPARED           D   -           =
DRIVER_TO_USER        * PREPARED           RELEASE_CLAIM PREPARED           DC  -           =
DRIVER_TO_USER        * PREPARED           ASSIGN_DRIVER PREPARED           C   -           =
DRIVER_TO_USER        * PICKED_UP          ASSIGN_DRIVER PICKED_UP          C   -           =
DRIVER_TO_USER        * AT_WAREHOUSE       ASSIGN_DRIVER AT_WAREHOUSE       C   -           =
DRIVER_TO_USER        * PREPARED           PICK_UP       PICKED_UP          D   COLLECTION  COMMIT_PENDING
DRIVER_TO_USER        * PICKED_UP          DELIVER       DELIVERED          D   DELIVERY    =
DRIVER_TO_USER        * DELIVERED          COMPLETE      COMPLETED          MCS -           =
DRIVER_TO_USER        * PENDING            CANCEL        CANCELLED          MC  -           RELEASE_PENDING
DRIVER_TO_USER        * PREPARED           CANCEL        CANCELLED          MC  -           RELEASE_PENDING
"""
LETTERS = dict(zip("MDWCS", ActorRole, strict=True))
LEGS = [(workflow, 0) for workflow in Workflow] + [(Workflow.DRIVER_TO_USER, 1)]
VERBS = [verb for verb in Verb if verb not in (Verb.CREATE, Verb.RETRY_RESERVATION)]


def stated() -> dict[tuple[str, int, str, str], tuple[str, set[ActorRole], str, str]]:
    table = {}
    for line in STATED.split("\n"):
        if line:
            workflow, legs, state, verb, target, roles, kind, stock = line.split()
            for leg in (0, 1) if legs == "*" else (int(legs),):
                table[workflow, leg, state, verb] = (target, {LETTERS[r] for r in roles}, kind, stock)
    return table


TABLE = stated()


def attempt(package: Package, move: Move, photos: list[EvidenceKind]) -> tuple[Package, PackageEvent | None]:
    evidence = [a_photo(kind) for kind in photos]
    return apply_move(package, move, None, Onward(), evidence, Driver(4, "", "", active=True), NOW)


@pytest.mark.parametrize(("workflow", "leg"), LEGS)
def test_every_state_verb_role_and_photo_has_the_outcome_that_is_stated(workflow: Workflow, leg: int) -> None:
    outcomes = 0
    for state, verb, role, shown in itertools.product(PackageState, VERBS, ActorRole, (False, True)):
        claimed = None if verb is Verb.CLAIM else DRIVER
        package = a_package(workflow=workflow, leg=leg, state=state, driver_id=claimed)
        row = TABLE.get((workflow, leg, state, verb))
        kind = None if row is None or row[2] == "-" else EvidenceKind[row[2]]
        photos = [kind or EvidenceKind.ARRIVAL] if shown else []
        driver_id = {Verb.CLAIM: 3, Verb.ASSIGN_DRIVER: 4}.get(verb)
        move = Move(verb, owner(role), tuple("e1" for _ in photos), driver_id=driver_id)
        expected: type[Refusal] | None = None
        if row is None:
            expected = IllegalTransition
        elif role not in row[1]:
            expected = WrongActor
        elif kind is not None and not shown:
            expected = EvidenceMissing
        elif kind is None and shown:
            expected = EvidenceUnfit
        if expected is not None:
            with pytest.raises(expected):
                attempt(package, move, photos)
        else:
            assert row is not None
            after, event = attempt(package, move, photos)
            assert after.state == row[0]
            assert after.stock_state == (StockState.HELD if row[3] == "=" else row[3])
            assert after.version == package.version + 1
            assert event is not None
            assert (event.verb, event.from_state, event.to_state) == (verb, state, row[0])
        outcomes += 1
    assert outcomes == len(PackageState) * len(VERBS) * len(ActorRole) * 2


@pytest.mark.parametrize(("workflow", "leg"), LEGS)
def test_the_explanation_of_a_package_says_what_trying_would_say(workflow: Workflow, leg: int) -> None:
    for state, role in itertools.product(PackageState, ActorRole):
        package = a_package(workflow=workflow, leg=leg, state=state, driver_id=DRIVER)
        for explanation in explain(package, owner(role), Onward()):
            row = TABLE.get((workflow, leg, state, explanation.verb))
            allowed = row is not None and role in row[1]
            assert (explanation.refusal is None) == allowed
            if allowed and row is not None:
                assert explanation.target == row[0]
                assert (explanation.evidence or "-") == row[2]


def test_the_table_has_one_row_for_a_verb_in_a_state() -> None:
    for (workflow, leg), state, verb in itertools.product(LEGS, PackageState, Verb):
        rows = [
            row
            for row in TRANSITIONS
            if row.verb is verb
            and workflow in row.workflows
            and state in row.sources
            and row.leg in (None, leg)
        ]
        assert len(rows) <= 1


def test_an_illegal_verb_is_told_what_is_allowed_now() -> None:
    package = a_package(state=PackageState.PREPARED, workflow=Workflow.MERCHANT_TO_USER)

    with pytest.raises(IllegalTransition) as refusal:
        permit(package, Verb.SHIP, owner(ActorRole.WAREHOUSE), Onward())

    assert refusal.value.allowed == (Verb.DELIVER, Verb.CANCEL)


@pytest.mark.parametrize(
    ("verb", "state", "role"),
    [
        (Verb.PREPARE, PackageState.PENDING, ActorRole.MERCHANT),
        (Verb.RECEIVE, PackageState.AT_WAREHOUSE, ActorRole.WAREHOUSE),
        (Verb.PICK_UP, PackageState.PREPARED, ActorRole.DRIVER),
    ],
)
def test_the_right_role_is_not_enough_for_another_actors_package(
    verb: Verb, state: PackageState, role: ActorRole
) -> None:
    package = a_package(workflow=Workflow.DRIVER_TO_WAREHOUSE, state=state, driver_id=DRIVER)

    permit(package, verb, owner(role), Onward())
    with pytest.raises(NotYourPackage):
        permit(package, verb, Actor(role, "99"), Onward())


@pytest.mark.parametrize(("workflow", "leg"), LEGS)
def test_what_belongs_to_nobody_is_nobodys_whatever_they_call_themselves(
    workflow: Workflow, leg: int
) -> None:
    tried = 0
    names = ("None", "", "0", "null")
    for state, verb, name in itertools.product(PackageState, VERBS, names):
        row = TABLE.get((workflow, leg, state, verb))
        if row is None or verb is Verb.CLAIM:
            continue
        nobodys = a_package(workflow=workflow, leg=leg, state=state, driver_id=None, warehouse_id=None)
        claimed = replace(nobodys, driver_id=DRIVER)
        tries = [(nobodys, ActorRole.WAREHOUSE), (nobodys, ActorRole.DRIVER), (claimed, ActorRole.MERCHANT)]
        for package, role in tries:
            if role not in row[1] or (verb is Verb.RELEASE_CLAIM and package.driver_id is None):
                continue
            tried += 1
            with pytest.raises(NotYourPackage):
                permit(package, verb, Actor(role, name), Onward())
    assert tried


@pytest.mark.parametrize("verb", [Verb.PREPARE, Verb.PICK_UP])
@pytest.mark.parametrize("stock_state", StockState)
def test_packing_and_leaving_the_shelf_need_the_stock_held_where_a_hold_is_kept(
    verb: Verb, stock_state: StockState
) -> None:
    state = PackageState.PENDING if verb is Verb.PREPARE else PackageState.PREPARED
    package = a_package(state=state, driver_id=DRIVER, stock_state=stock_state)
    role = ActorRole.MERCHANT if verb is Verb.PREPARE else ActorRole.DRIVER

    if stock_state in (StockState.HELD, StockState.NOT_TRACKED):
        permit(package, verb, owner(role), Onward())
    else:
        with pytest.raises(StockNotHeld):
            permit(package, verb, owner(role), Onward())


def test_a_second_driver_is_told_that_the_package_is_claimed_and_not_by_whom() -> None:
    package = a_package(state=PackageState.PREPARED, driver_id=DRIVER)

    with pytest.raises(PackageClaimed) as refusal:
        permit(package, Verb.CLAIM, Actor(ActorRole.DRIVER, "4"), Onward())

    assert str(DRIVER) not in str(refusal.value).replace("PG1", "")


@pytest.mark.parametrize("workflow", [Workflow.MERCHANT_TO_WAREHOUSE, Workflow.DRIVER_TO_WAREHOUSE])
def test_an_onward_package_stops_shipping_and_its_arrival_closes_the_first_leg(workflow: Workflow) -> None:
    package = a_package(workflow=workflow, state=PackageState.WAREHOUSE_RECEIVED)
    warehouse, merchant = owner(ActorRole.WAREHOUSE), owner(ActorRole.MERCHANT)

    permit(package, Verb.SHIP, warehouse, Onward(active=False))
    with pytest.raises(IllegalTransition):
        permit(package, Verb.SHIP, warehouse, Onward(active=True))
    with pytest.raises(IllegalTransition):
        permit(package, Verb.COMPLETE, merchant, Onward(active=True, arrived=False))
    assert permit(package, Verb.COMPLETE, merchant, Onward(arrived=True)).target is PackageState.COMPLETED
    assert open_verbs(package, Onward(active=True, arrived=True)) == (Verb.COMPLETE,)


def test_what_went_on_with_leg_one_whole_is_not_shipped_again() -> None:
    package = a_package(workflow=Workflow.MERCHANT_TO_WAREHOUSE, state=PackageState.WAREHOUSE_RECEIVED, leg=0)

    with pytest.raises(IllegalTransition) as refusal:
        permit(package, Verb.SHIP, owner(ActorRole.WAREHOUSE), Onward(arrived=True))

    assert refusal.value.allowed == (Verb.COMPLETE,)


@pytest.mark.parametrize(("workflow", "leg"), LEGS)
def test_of_a_cancelled_order_nothing_is_packed_and_nothing_leaves(workflow: Workflow, leg: int) -> None:
    for state, verb, role in itertools.product(PackageState, VERBS, ActorRole):
        row = TABLE.get((workflow, leg, state, verb))
        if row is None or role not in row[1]:
            continue
        package = a_package(workflow=workflow, leg=leg, state=state, driver_id=DRIVER)
        if verb is Verb.PREPARE or row[3] == "COMMIT_PENDING":
            with pytest.raises(IllegalTransition) as refusal:
                permit(package, verb, owner(role), Onward(called_off=(1,)))
            assert refusal.value.why == "order 1 is CANCELLED"
            assert verb not in refusal.value.allowed
            assert Verb.CANCEL in refusal.value.allowed
        else:
            permit(package, verb, owner(role), Onward(called_off=(1,)))


def test_nobody_gives_back_what_nobody_has_claimed() -> None:
    package = a_package(state=PackageState.PREPARED)

    with pytest.raises(IllegalTransition):
        permit(package, Verb.RELEASE_CLAIM, owner(ActorRole.DISPATCHER), Onward())
    permit(replace(package, driver_id=3), Verb.RELEASE_CLAIM, owner(ActorRole.DISPATCHER), Onward())
