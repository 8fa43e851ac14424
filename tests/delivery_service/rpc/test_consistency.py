"""CheckConsistency finds what was put out of order, and only that."""

import asyncio

import pytest
from holdfast.ops.v1 import ops_pb2
from sqlalchemy import text

from delivery_service.application.stock_ports import Hold
from tests.delivery_service.client import Delivery
from tests.delivery_service.rpc.reconciling import execute, reconcile


@pytest.mark.parametrize(
    ("check", "damage", "repair", "finding"),
    [
        (
            "mapping",
            "UPDATE tigu_prepare_goods SET order_ids = '1,2'",
            "UPDATE tigu_prepare_goods SET order_ids = '1'",
            "PG1: mapping and order_ids differ",
        ),
        (
            "mapping",
            "UPDATE tigu_prepare_goods_order SET active_leg = NULL",
            "UPDATE tigu_prepare_goods_order SET active_leg = 0",
            "PG1: orders whose leg is taken by a past package, or free beside an active one",
        ),
        (
            "events",
            "UPDATE tigu_prepare_goods SET prepare_status = 5",
            "UPDATE tigu_prepare_goods SET prepare_status = -1",
            "PG1: state and last event differ",
        ),
        (
            "events",
            "UPDATE package_event SET sequence = 2",
            "UPDATE package_event SET sequence = 1",
            "PG1: the timeline has gaps",
        ),
        (
            "outbox",
            "UPDATE outbox SET state = 3",
            "UPDATE outbox SET state = 2",
            "PG1: RESERVE is parked",
        ),
        (
            "outbox",
            "UPDATE outbox SET state = 0, next_attempt_time = '2999-01-01', create_time = '2026-01-01'",
            "UPDATE outbox SET state = 2",
            "PG1: RESERVE has not been settled for more than 0:05:00",
        ),
    ],
)
async def test_rows_that_disagree_are_found(
    delivery: Delivery, check: str, damage: str, repair: str, finding: str
) -> None:
    await delivery.create("DRIVER_TO_USER", [await delivery.order({"A": 1}, order_id=1)], package_sn="PG1")
    assert await delivery.findings() == []
    await execute(delivery, damage)

    assert await delivery.findings(check) == [finding]

    await execute(delivery, repair)


async def test_a_stuck_command_is_told_with_what_inventory_said_last(delivery: Delivery) -> None:
    await delivery.create("MERCHANT_TO_USER", package_sn="PG1")
    await execute(delivery, "UPDATE outbox SET state = 3, attempts = 4, last_error = 'it is RELEASED'")

    answers = delivery.ops.CheckConsistency(ops_pb2.CheckConsistencyRequest(checks=["outbox"]), timeout=30)

    (facts,) = [dict(answer.finding.facts) async for answer in answers]
    assert facts.pop("create_time")
    assert facts.pop("entry_id")
    assert facts == {
        "command": "RESERVE",
        "reservation_id": "PG1:1",
        "attempts": "4",
        "last_error": "it is RELEASED",
    }


async def test_a_command_that_waits_for_a_while_is_no_finding(delivery: Delivery) -> None:
    delivery.inventory.down = True
    await delivery.create("DRIVER_TO_USER")

    assert await delivery.findings("outbox") == []


@pytest.mark.parametrize("until", ["", "DeliverPackage"])
async def test_a_hold_that_went_on_since_it_was_listed_is_no_finding(delivery: Delivery, until: str) -> None:
    package = await delivery.create("MERCHANT_TO_USER")
    if until:
        await delivery.drive(package, until=until)
        await delivery.stock_state(package.package_sn, "COMMITTED")
    delivery.inventory.known["gone:1"] = Hold("gone:1", "RELEASED", {"A": 1})
    delivery.inventory.listed = [
        Hold(package.reservation_id, "HELD", {"A": 2}),
        Hold("gone:1", "HELD", {"A": 1}),
    ]

    assert await delivery.findings("reservations") == []


async def test_a_hold_that_no_package_wants_is_found(delivery: Delivery) -> None:
    await delivery.create("DRIVER_TO_USER")
    delivery.inventory.known["lost:1"] = Hold("lost:1", "HELD", {"A": 1})

    assert await delivery.findings() == ["lost:1: inventory holds stock that no package wants"]


@pytest.mark.parametrize("became", ["RELEASED", "COMMITTED", None])
async def test_a_package_without_the_hold_it_needs_is_found(delivery: Delivery, became: str | None) -> None:
    package = await delivery.create("DRIVER_TO_USER", package_sn="PG1")
    if became is None:
        del delivery.inventory.known[package.reservation_id]
    else:
        delivery.inventory.known[package.reservation_id] = Hold("PG1:1", became, {"A": 2})

    assert await delivery.findings("reservations") == [
        f"PG1: the package is HELD, inventory has its hold as {became or 'unknown'}"
    ]


async def test_a_hold_of_other_quantities_is_found(delivery: Delivery) -> None:
    package = await delivery.create("DRIVER_TO_USER", package_sn="PG1")
    delivery.inventory.known[package.reservation_id] = Hold("PG1:1", "HELD", {"A": 1})

    assert len(await delivery.findings("reservations")) == 1


async def test_without_inventory_nothing_is_claimed_to_be_known(delivery: Delivery) -> None:
    await delivery.create("DRIVER_TO_USER")
    delivery.inventory.down = True

    assert await delivery.findings("reservations") == [
        "inventory: unknown: inventory could not be asked, so nothing is known about holds"
    ]


async def test_more_packages_than_a_page_are_all_looked_at(delivery: Delivery) -> None:
    many = ", ".join(f"('L{n}', '', 0, 0, 6, 0, 7)" for n in range(450))
    columns = "prepare_sn, order_ids, delivery_type, shipping_type, prepare_status, type, shop_id"
    await execute(delivery, f"INSERT INTO tigu_prepare_goods ({columns}) VALUES {many}")  # noqa: S608
    await execute(
        delivery, "UPDATE tigu_prepare_goods SET order_ids = '9' WHERE prepare_sn IN ('L0', 'L449')"
    )

    found = await delivery.findings("mapping")

    await execute(delivery, "DELETE FROM tigu_prepare_goods WHERE prepare_sn LIKE 'L%'")
    assert found == ["L0: mapping and order_ids differ", "L449: mapping and order_ids differ"]


async def test_what_only_moves_while_it_is_looked_at_is_no_finding(delivery: Delivery) -> None:
    ended = asyncio.Event()

    async def look() -> list[str]:
        found = []
        while not ended.is_set():
            found += await delivery.findings("events", "mapping", "orders", "proofs")
        return found

    async def traffic() -> None:
        try:
            await asyncio.gather(*(journey() for _ in range(12)))
        finally:
            ended.set()

    async def journey() -> None:
        await delivery.drive(await delivery.create("DRIVER_TO_WAREHOUSE"))

    delivery.inventory.stock["A"] = 1_000
    found, *_ = await asyncio.gather(look(), look(), look(), traffic())

    assert found == []


@pytest.mark.parametrize(
    "damage", ["prepare_status = 42", "delivery_type = 7", "type = 3", "stock_state = 99"]
)
async def test_a_package_that_cannot_be_read_is_named_and_hides_no_other(
    delivery: Delivery, damage: str
) -> None:
    for package_sn in ("PG1", "PG2"):
        await delivery.create("MERCHANT_TO_USER", package_sn=package_sn)
    await delivery.quiet()
    async with delivery.engine.connect() as connection:
        rows = "SELECT prepare_status, delivery_type, type, stock_state FROM tigu_prepare_goods"
        sound = (await connection.execute(text(f"{rows} WHERE prepare_sn = 'PG1'"))).one()._asdict()
    await execute(delivery, f"UPDATE tigu_prepare_goods SET {damage} WHERE prepare_sn = 'PG1'")  # noqa: S608
    await execute(delivery, "UPDATE tigu_prepare_goods SET order_ids = '9' WHERE prepare_sn = 'PG2'")

    assert await delivery.findings() == [
        "PG1: the package has codes that nobody knows",
        "PG2: mapping and order_ids differ",
    ]
    (answer,) = await reconcile(delivery, "events", validate_only=False)
    assert (answer.repaired, answer.repair) == (
        False,
        "left to people: set the codes of its row to what its events, or the old application, say",
    )

    column = damage.partition(" ")[0]
    await execute(delivery, f"UPDATE tigu_prepare_goods SET {column} = {sound[column]}")  # noqa: S608
    await reconcile(delivery, "mapping", validate_only=False)


async def test_a_package_without_an_id_for_its_hold_is_named_and_hides_no_other(delivery: Delivery) -> None:
    for package_sn in ("PG1", "PG2"):
        package = await delivery.create("MERCHANT_TO_USER", package_sn=package_sn)
    await execute(delivery, "UPDATE tigu_prepare_goods SET reservation_id = NULL WHERE prepare_sn = 'PG1'")
    del delivery.inventory.known[package.reservation_id]

    assert await delivery.findings("reservations") == [
        "PG1: the id of the package's hold is not the one of its attempt",
        "PG1:1: inventory holds stock that no package wants",
        "PG2: the package is HELD, inventory has its hold as unknown",
    ]


@pytest.mark.parametrize("seconds", [None, 30])
async def test_a_check_may_outlast_every_other_call(
    delivery: Delivery, monkeypatch: pytest.MonkeyPatch, seconds: float | None
) -> None:
    monkeypatch.setattr("servicekit.rpc.calls.CALL_CAP_SECONDS", 0.0)
    monkeypatch.setattr("servicekit.rpc.calls.STREAM_CAP_SECONDS", 0.0)

    found = delivery.ops.CheckConsistency(ops_pb2.CheckConsistencyRequest(), timeout=seconds)

    assert [answer.finding async for answer in found] == []
