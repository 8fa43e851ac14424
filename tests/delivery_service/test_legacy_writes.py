"""What the old application goes on writing beside the service: followed by it, and never packed twice."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
import structlog
from holdfast.delivery.v1 import package_pb2 as pb
from sqlalchemy import event, text

from delivery_service.application.follow_legacy_writes import follow_legacy_writes
from delivery_service.persistence.unit_of_work import SqlUnitOfWork
from delivery_service.workers.legacy_following import legacy_following
from devtools.journey import PREPARE
from servicekit.persistence.engines import create_engine
from servicekit.persistence.transactions import Transactions
from tests.delivery_service.client import MERCHANT, Delivery, eventually
from tests.delivery_service.conftest import Running

INSERT = (
    "INSERT INTO tigu_prepare_goods (id, prepare_sn, order_ids, delivery_type, shipping_type, shop_id, prepare_status)"
    " VALUES ({id}, 'OLD{id}', '{orders}', 1, 1, 7, {status})"
)
MAPPED = "SELECT prepare_goods_id, order_id, active_leg FROM tigu_prepare_goods_order ORDER BY 1, 2"
LEFT = "SELECT COUNT(*) FROM tigu_prepare_goods WHERE legacy_write_time IS NOT NULL"


async def write(delivery: Delivery, *statements: str) -> None:
    async with delivery.engine.begin() as connection:
        for statement in statements:
            await connection.execute(text(statement))


async def rows(delivery: Delivery, query: str) -> list[tuple[object, ...]]:
    async with delivery.engine.connect() as connection:
        return [tuple(row) for row in await connection.execute(text(query))]


@pytest.fixture
async def transactions(running: Running) -> AsyncIterator[Transactions[SqlUnitOfWork]]:
    engine = create_engine(running.url, pool_size=2)
    yield Transactions(engine, SqlUnitOfWork)
    await engine.dispose()


async def test_orders_of_an_old_package_become_rows_and_change_with_its_list(
    delivery: Delivery, transactions: Transactions[SqlUnitOfWork]
) -> None:
    for order_id in (41, 412, 4):
        await delivery.order({"A": 1}, order_id)
    await write(delivery, INSERT.format(id=1, orders=" 41, 412,x,999", status="NULL"))

    assert await follow_legacy_writes(transactions) == 1
    assert await rows(delivery, MAPPED) == [(1, 41, 0), (1, 412, 0)]
    assert await follow_legacy_writes(transactions) == 0

    await write(delivery, "UPDATE tigu_prepare_goods SET order_ids = '41,4' WHERE id = 1")
    assert await follow_legacy_writes(transactions) == 1
    assert await rows(delivery, MAPPED) == [(1, 4, 0), (1, 41, 0)]
    days = "SELECT day = UTC_DATE(), packages FROM legacy_write_day"
    assert await rows(delivery, days) == [(1, 2)]
    # In which order they are listed says nothing.
    assert await delivery.findings("mapping") == []


async def test_a_leg_that_an_old_package_leaves_goes_to_the_next_one_that_waits_for_it(
    delivery: Delivery, transactions: Transactions[SqlUnitOfWork]
) -> None:
    await delivery.order({"A": 1}, 4)
    await write(delivery, *(INSERT.format(id=number, orders="4", status=0) for number in (1, 2, 3)))
    await follow_legacy_writes(transactions)
    assert await rows(delivery, MAPPED) == [(1, 4, 0), (2, 4, None), (3, 4, None)]
    assert await delivery.findings("mapping") == []

    await write(delivery, "UPDATE tigu_prepare_goods SET prepare_status = 6 WHERE id = 1")
    await follow_legacy_writes(transactions)

    assert await rows(delivery, MAPPED) == [(1, 4, None), (2, 4, 0), (3, 4, None)]
    await write(delivery, "UPDATE tigu_prepare_goods SET prepare_status = 6 WHERE id > 1")
    await follow_legacy_writes(transactions)


@pytest.mark.parametrize("ends", ["cancelled", "completed"])
async def test_a_leg_that_a_package_leaves_by_a_call_goes_to_the_next_one_that_waits_for_it(
    delivery: Delivery, transactions: Transactions[SqlUnitOfWork], ends: str
) -> None:
    await delivery.order({"A": 1}, 4)
    await delivery.order({"A": 1}, 5)
    status = 0 if ends == "cancelled" else 5
    await write(
        delivery,
        *(
            INSERT.format(id=number, orders=orders, status=status)
            for number, orders in ((1, "4,5"), (2, "4"))
        ),
        *(INSERT.format(id=number, orders="4", status=status) for number in (3, 4)),
    )
    await follow_legacy_writes(transactions)
    assert await rows(delivery, MAPPED) == [(1, 4, 0), (1, 5, 0), (2, 4, None), (3, 4, None), (4, 4, None)]

    async def end(number: int) -> None:
        if ends == "completed":
            await delivery.move("CompletePackage", f"OLD{number}", by=MERCHANT)
        else:
            await delivery.move("CancelPackage", f"OLD{number}", by=MERCHANT, reason="twice")

    # One that waits ends before the one that has the leg.
    await end(3)
    assert await rows(delivery, MAPPED) == [(1, 4, 0), (1, 5, 0), (2, 4, None), (3, 4, None), (4, 4, None)]
    await end(1)

    assert await rows(delivery, MAPPED) == [(1, 4, None), (1, 5, None), (2, 4, 0), (3, 4, None), (4, 4, None)]
    assert await delivery.findings("mapping") == []
    await end(2)
    assert await rows(delivery, MAPPED) == [(1, 4, None), (1, 5, None), (2, 4, None), (3, 4, None), (4, 4, 0)]
    refusal = await delivery.refused(delivery.create("DRIVER_TO_USER", ["4"]))
    assert refusal.reason == "ORDER_ALREADY_PACKED"
    await end(4)
    assert {row[2] for row in await rows(delivery, MAPPED)} == {None}


async def test_an_order_of_an_old_package_that_nobody_followed_yet_is_not_packed_twice(
    delivery: Delivery,
) -> None:
    order = await delivery.order({"A": 2}, 412)
    other = await delivery.order({"A": 2}, 41)
    await write(delivery, INSERT.format(id=1, orders="7, 412", status="NULL"))

    refusal = await delivery.refused(delivery.create("DRIVER_TO_USER", [order]))

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "ORDER_ALREADY_PACKED")
    # 41 is a part of 412, and no order of that package.
    assert (await delivery.create("DRIVER_TO_USER", [other])).package_sn
    await write(delivery, "UPDATE tigu_prepare_goods SET order_ids = '412' WHERE id = 1")
    refusal = await delivery.refused(delivery.create("DRIVER_TO_USER", [order]))
    assert refusal.reason == "ORDER_ALREADY_PACKED"
    await write(
        delivery,
        "DELETE FROM tigu_prepare_goods_order WHERE prepare_goods_id = 1",
        "DELETE FROM tigu_prepare_goods WHERE id = 1",
    )


async def test_a_step_of_an_old_package_that_nobody_followed_yet_reaches_its_orders(
    delivery: Delivery,
) -> None:
    await delivery.order({"A": 2}, 4)
    await write(delivery, INSERT.format(id=1, orders="4", status="NULL"))

    await delivery.take("OLD1", PREPARE)

    assert await rows(delivery, MAPPED) == [(1, 4, 0)]
    assert await rows(delivery, "SELECT shipping_status FROM tigu_order WHERE id = 4") == [(1,)]
    assert await rows(delivery, LEFT) == [(0,)]


async def test_the_services_own_writes_are_not_taken_for_those_of_another(
    delivery: Delivery, transactions: Transactions[SqlUnitOfWork]
) -> None:
    package = await delivery.create("DRIVER_TO_USER")
    await delivery.drive(await delivery.stock_state(package.package_sn, "HELD"), until="PickUpPackage")
    await delivery.quiet()

    assert await rows(delivery, LEFT) == [(0,)]
    assert await follow_legacy_writes(transactions) == 0
    assert await rows(delivery, "SELECT COUNT(*) FROM legacy_write_day") == [(0,)]


async def test_a_package_of_ours_that_the_old_application_picks_up_gets_its_event_and_its_stock_leaves(
    delivery: Delivery, transactions: Transactions[SqlUnitOfWork]
) -> None:
    package = await delivery.create("DRIVER_TO_USER", [await delivery.order({"A": 2}, 4)])
    await delivery.drive(await delivery.stock_state(package.package_sn, "HELD"), until="PreparePackage")
    await write(delivery, "UPDATE tigu_prepare_goods SET prepare_status = 1, order_ids = '9'")

    await follow_legacy_writes(transactions)

    assert await rows(delivery, LEFT) == [(0,)]
    assert (await delivery.get(package.package_sn)).state == pb.PACKAGE_STATE_PICKED_UP
    assert (await delivery.events(package.package_sn))[-1] == "RECONCILE"
    await delivery.stock_state(package.package_sn, "COMMITTED")
    # The orders of a package that the service made are its own: the list is a projection of them.
    assert [row[1:] for row in await rows(delivery, MAPPED)] == [(4, 0)]
    assert await delivery.findings("mapping") == [f"{package.package_sn}: mapping and order_ids differ"]
    await write(delivery, "UPDATE tigu_prepare_goods SET order_ids = '4'")


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE tigu_prepare_goods SET prepare_status = 42 WHERE prepare_sn = 'PG1'",
        "UPDATE tigu_order SET order_status = 9 WHERE id = 4",
    ],
)
async def test_a_row_that_cannot_be_read_is_logged_by_its_number_and_stops_no_other(
    delivery: Delivery, transactions: Transactions[SqlUnitOfWork], damage: str
) -> None:
    for package_sn, order_id in (("PG1", 4), ("PG2", 5)):
        order = await delivery.order({"A": 2}, order_id)
        package = await delivery.create("DRIVER_TO_USER", [order], package_sn=package_sn)
        await delivery.drive(await delivery.stock_state(package.package_sn, "HELD"), until="PreparePackage")
    picked_up = "UPDATE tigu_prepare_goods SET prepare_status = 1 WHERE prepare_sn = '{}'"
    # What was written first is followed first.
    await write(delivery, picked_up.format("PG1"), damage)
    await write(delivery, picked_up.format("PG2"))

    with structlog.testing.capture_logs() as logged:
        await follow_legacy_writes(transactions)

    (warning,) = [entry for entry in logged if entry["log_level"] == "warning"]
    assert (warning["package_sn"], "cannot be read" in warning["error"]) == ("PG1", True)
    assert (await delivery.get("PG2")).state == pb.PACKAGE_STATE_PICKED_UP
    assert (await delivery.events("PG2"))[-1] == "RECONCILE"
    assert await rows(delivery, LEFT) == [(0,)]
    assert [found.partition(":")[0] for found in await delivery.findings("events")] == ["PG1"]
    await write(
        delivery,
        "UPDATE tigu_prepare_goods SET prepare_status = 0 WHERE prepare_sn = 'PG1'",
        "UPDATE tigu_prepare_goods_order SET active_leg = 0 WHERE order_id = 4",
        "UPDATE tigu_order SET order_status = 1 WHERE id = 4",
    )


async def test_a_package_that_somebody_keeps_locked_keeps_no_other_waiting(
    delivery: Delivery, running: Running
) -> None:
    for package_sn, order_id in (("PG1", 4), ("PG2", 5)):
        order = await delivery.order({"A": 2}, order_id)
        package = await delivery.create("DRIVER_TO_USER", [order], package_sn=package_sn)
        await delivery.drive(await delivery.stock_state(package.package_sn, "HELD"), until="PreparePackage")
    picked_up = "UPDATE tigu_prepare_goods SET prepare_status = 1 WHERE prepare_sn = '{}'"
    await write(delivery, picked_up.format("PG1"))
    await write(delivery, picked_up.format("PG2"))
    engine = create_engine(running.url, pool_size=3)
    event.listen(engine.sync_engine, "connect", _wait_briefly_for_locks)
    transactions = Transactions(engine, SqlUnitOfWork)

    async with delivery.engine.begin() as connection:
        locked = "SELECT id FROM tigu_prepare_goods WHERE prepare_sn = 'PG1' FOR UPDATE"
        await connection.execute(text(locked))
        await follow_legacy_writes(transactions)
        assert (await delivery.get("PG2")).state == pb.PACKAGE_STATE_PICKED_UP
        assert (await delivery.events("PG2"))[-1] == "RECONCILE"
        assert await rows(delivery, LEFT) == [(1,)]
    await follow_legacy_writes(transactions)

    await engine.dispose()
    assert (await delivery.events("PG1"))[-1] == "RECONCILE"
    assert await rows(delivery, LEFT) == [(0,)]


def _wait_briefly_for_locks(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("SET SESSION innodb_lock_wait_timeout = 1")
    cursor.close()


async def test_the_worker_follows_by_itself_and_leaves_what_is_locked_for_later(
    delivery: Delivery, transactions: Transactions[SqlUnitOfWork]
) -> None:
    await delivery.order({"A": 1}, 4)
    await delivery.order({"A": 1}, 5)
    await write(
        delivery, INSERT.format(id=1, orders="4", status=0), INSERT.format(id=2, orders="5", status=0)
    )
    async with delivery.engine.begin() as connection:
        await connection.execute(text("SELECT id FROM tigu_order WHERE id = 4 FOR UPDATE"))
        assert await follow_legacy_writes(transactions) == 1
        assert await rows(delivery, MAPPED) == [(2, 5, 0)]

    poller = legacy_following(transactions, 0.02)

    async def followed() -> bool:
        return await rows(delivery, MAPPED) == [(1, 4, 0), (2, 5, 0)]

    running = asyncio.ensure_future(poller.run())
    await eventually(followed)
    poller.stop()
    await running


async def test_without_the_lists_packages_are_made_moved_and_checked_as_with_them(
    delivery: Delivery, transactions: Transactions[SqlUnitOfWork]
) -> None:
    await write(
        delivery,
        "ALTER TABLE tigu_prepare_goods DROP INDEX idx_order_ids",
        "ALTER TABLE tigu_prepare_goods DROP COLUMN order_ids",
    )
    try:
        package = await delivery.create("MERCHANT_TO_USER")
        package = await delivery.drive(await delivery.stock_state(package.package_sn, "HELD"))
        assert package.state == pb.PACKAGE_STATE_COMPLETED
        await write(delivery, "UPDATE tigu_prepare_goods SET total_value = 3")
        assert await follow_legacy_writes(transactions) == 1
        assert await delivery.findings("mapping", "events") == []
        assert list((await delivery.get(package.package_sn)).order_ids) == list(package.order_ids)
    finally:
        await write(
            delivery,
            "ALTER TABLE tigu_prepare_goods ADD COLUMN order_ids TEXT NOT NULL AFTER prepare_sn",
            "ALTER TABLE tigu_prepare_goods ADD INDEX idx_order_ids (order_ids(100))",
            "UPDATE tigu_prepare_goods SET order_ids = (SELECT GROUP_CONCAT(order_id) FROM tigu_prepare_goods_order"
            " WHERE prepare_goods_id = id)",
        )
