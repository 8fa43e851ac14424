"""Packages and inventory come to agree, whatever inventory answers and whenever."""

import asyncio
import random
from collections.abc import Awaitable

import grpc
from holdfast.delivery.v1 import package_pb2 as pb
from sqlalchemy import select, text

from delivery_service.application.stock_ports import Hold, Refused
from delivery_service.persistence.tables import outbox
from devtools.journey import PREPARE
from tests.delivery_service.client import DRIVER, MERCHANT, Delivery, eventually


async def outbox_rows(delivery: Delivery) -> list[tuple[str, int, str | None]]:
    """(command, state, last error) of every entry, oldest first."""
    statement = select(outbox.c.command, outbox.c.state, outbox.c.last_error).order_by(outbox.c.entry_id)
    async with delivery.engine.connect() as connection:
        return [tuple(row) for row in await connection.execute(statement)]


async def test_a_shortage_rejects_the_package_with_every_short_line(delivery: Delivery) -> None:
    delivery.inventory.stock.update({"A": 1, "B": 0, "C": 9})
    order = await delivery.order({"A": 2, "B": 1, "C": 1})

    package = await delivery.create("DRIVER_TO_USER", [order])

    assert package.stock_state == pb.STOCK_STATE_REJECTED
    assert package.rejection_reason == "INSUFFICIENT_STOCK"
    assert [(s.sku, s.quantity, s.available_quantity) for s in package.shortages] == [
        ("A", 2, 1),
        ("B", 1, 0),
    ]
    assert delivery.inventory.held("C") == 0
    await delivery.quiet()
    refusal = await delivery.refused(
        delivery.move("PreparePackage", package.package_sn, by=MERCHANT, evidence_ids=[])
    )
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "STOCK_NOT_HELD")


async def test_a_rejected_package_asks_again_under_a_new_id_and_is_held(delivery: Delivery) -> None:
    delivery.inventory.stock["A"] = 1
    package = await delivery.create("DRIVER_TO_USER")
    delivery.inventory.stock["A"] = 5

    reply = await delivery.stub.RetryReservation(
        pb.RetryReservationRequest(package_sn=package.package_sn), metadata=MERCHANT, timeout=10
    )

    assert reply.package.stock_state == pb.STOCK_STATE_HELD
    assert reply.package.reservation_id == f"{package.package_sn}:2"
    assert (reply.package.rejection_reason, list(reply.package.shortages)) == ("", [])
    assert await delivery.events(package.package_sn) == ["CREATE", "RETRY_RESERVATION"]


async def test_a_delayed_copy_of_a_refused_reserve_holds_nothing(delivery: Delivery) -> None:
    delivery.inventory.stock["A"] = 1
    package = await delivery.create("DRIVER_TO_USER")
    await delivery.quiet()
    delivery.inventory.stock["A"] = 50

    late = await delivery.inventory.reserve(package.reservation_id, {"A": 2}, "")

    assert isinstance(late, Refused)
    assert late.reason == "RESERVATION_TOMBSTONED"
    assert delivery.inventory.held("A") == 0


async def test_an_unknown_sku_rejects_the_package_which_is_then_cancelled_cleanly(delivery: Delivery) -> None:
    order = await delivery.order({"GHOST": 2})
    del delivery.inventory.stock["GHOST"]

    package = await delivery.create("DRIVER_TO_USER", [order])
    assert (package.stock_state, package.rejection_reason) == (pb.STOCK_STATE_REJECTED, "STOCK_NOT_FOUND")
    assert [shortage.sku for shortage in package.shortages] == ["GHOST"]
    await delivery.move("CancelPackage", package.package_sn, by=MERCHANT, reason="no such thing")

    await delivery.stock_state(package.package_sn, "RELEASED")
    assert await delivery.findings() == []


async def test_somebody_elses_reservation_under_our_id_is_left_alone(delivery: Delivery) -> None:
    delivery.inventory.known["MINE:1"] = Hold("MINE:1", "HELD", {"Z": 9})

    package = await delivery.create("DRIVER_TO_USER", package_sn="MINE")
    await delivery.quiet()
    await delivery.move("CancelPackage", "MINE", by=MERCHANT, reason="not ours")
    await delivery.quiet()

    assert (package.stock_state, package.rejection_reason) == (pb.STOCK_STATE_REJECTED, "RESERVATION_EXISTS")
    assert (await delivery.get("MINE")).stock_state == pb.STOCK_STATE_REJECTED
    assert delivery.inventory.calls == [("reserve", "MINE:1")]
    assert delivery.inventory.held("Z") == 9
    assert await delivery.findings() == []


async def test_cancelling_gives_the_stock_back(delivery: Delivery) -> None:
    package = await delivery.create("DRIVER_TO_USER")
    await delivery.take(package.package_sn, PREPARE)

    await delivery.move("CancelPackage", package.package_sn, by=MERCHANT, reason="changed their mind")

    await delivery.stock_state(package.package_sn, "RELEASED")
    assert (delivery.inventory.stock["A"], delivery.inventory.held("A")) == (100, 0)


async def test_cancelling_while_the_reserve_is_in_flight_leaves_nothing_held(delivery: Delivery) -> None:
    entered, leave = asyncio.Event(), asyncio.Event()

    async def hang() -> None:
        if delivery.inventory.calls[-1][0] == "reserve":
            entered.set()
            await leave.wait()

    delivery.inventory.before_answer = hang
    creating = asyncio.create_task(delivery.create("DRIVER_TO_USER", package_sn="SLOW"))
    await entered.wait()

    await delivery.move("CancelPackage", "SLOW", by=MERCHANT, reason="too slow")
    delivery.inventory.before_answer = None
    leave.set()

    await creating
    await delivery.stock_state("SLOW", "RELEASED")
    assert delivery.inventory.held("A") == 0
    assert await delivery.findings() == []


async def test_cancelling_works_with_inventory_down(delivery: Delivery) -> None:
    package = await delivery.create("DRIVER_TO_USER")
    delivery.inventory.down = True

    cancelled = await delivery.move("CancelPackage", package.package_sn, by=MERCHANT, reason="no more")

    assert cancelled.state == pb.PACKAGE_STATE_CANCELLED
    assert cancelled.stock_state == pb.STOCK_STATE_RELEASE_PENDING
    delivery.inventory.down = False
    await delivery.stock_state(package.package_sn, "RELEASED")


async def test_the_package_goes_on_while_the_commit_waits_for_inventory(delivery: Delivery) -> None:
    package = await delivery.create("MERCHANT_TO_USER")
    delivery.inventory.down = True

    package = await delivery.drive(package)

    assert package.state == pb.PACKAGE_STATE_COMPLETED
    assert package.stock_state == pb.STOCK_STATE_COMMIT_PENDING
    delivery.inventory.down = False
    await delivery.stock_state(package.package_sn, "COMMITTED")
    assert delivery.inventory.stock["A"] == 98


async def test_a_refused_commit_is_parked_and_blocks_its_own_package_only(delivery: Delivery) -> None:
    stuck = await delivery.create("MERCHANT_TO_USER")
    delivery.inventory.refuse["commit"] = Refused("RESERVATION_ALREADY_RESOLVED", "it is RELEASED")
    await delivery.drive(stuck, until="DeliverPackage")
    await delivery.quiet()
    delivery.inventory.refuse.clear()

    other = await delivery.drive(await delivery.create("MERCHANT_TO_USER"), until="DeliverPackage")

    await delivery.stock_state(other.package_sn, "COMMITTED")
    assert (await outbox_rows(delivery))[1] == ("COMMIT", 3, "RESERVATION_ALREADY_RESOLVED: it is RELEASED")
    assert (await delivery.get(stuck.package_sn)).stock_state == pb.STOCK_STATE_COMMIT_PENDING


async def test_an_answer_that_another_process_recorded_wakes_the_waiting_call(delivery: Delivery) -> None:
    order = await delivery.order({"A": 2})
    delivery.inventory.down = True
    creating = asyncio.create_task(delivery.create("DRIVER_TO_USER", [order], package_sn="ELSEWHERE"))

    async def asked() -> bool:
        return bool(delivery.inventory.calls)

    await eventually(asked)
    async with delivery.engine.begin() as connection:
        await connection.execute(text("UPDATE tigu_prepare_goods SET stock_state = 2, version = version + 1"))
        await connection.execute(text("UPDATE outbox SET state = 2, lease_token = NULL"))

    assert (await asyncio.wait_for(creating, 1)).stock_state == pb.STOCK_STATE_HELD


async def test_a_command_whose_relay_died_is_taken_over_once_its_lease_is_over(delivery: Delivery) -> None:
    delivery.inventory.down = True
    package = await delivery.create("DRIVER_TO_USER", package_sn="ORPHAN")
    dead = "UPDATE outbox SET state = 1, lease_token = REPEAT('d', 32), lease_until_time = :until"
    async with delivery.engine.begin() as connection:
        await connection.execute(text(dead), {"until": "2999-01-01"})
    delivery.inventory.down = False
    await asyncio.sleep(0.5)
    assert (await delivery.get("ORPHAN")).stock_state == pb.STOCK_STATE_REQUESTED

    async with delivery.engine.begin() as connection:
        await connection.execute(text(dead), {"until": "2001-01-01"})

    await delivery.stock_state(package.package_sn, "HELD")
    assert delivery.inventory.held("A") == 2


async def test_cancel_and_pick_up_at_once_have_one_winner_and_the_stock_agrees(delivery: Delivery) -> None:
    winners: list[int] = []
    while len(winners) < 5 or len(set(winners)) < 2:
        assert len(winners) < 40, "one side wins every race"
        head_start = random.uniform(-0.05, 0.05)
        package = await delivery.drive(await delivery.create("DRIVER_TO_USER"), until="ClaimPackage")
        photo = await delivery.upload(package.package_sn, "COLLECTION", by=DRIVER)
        results = await asyncio.gather(
            after(
                max(head_start, 0),
                delivery.move("CancelPackage", package.package_sn, by=MERCHANT, reason="race"),
            ),
            after(
                max(-head_start, 0),
                delivery.move(
                    "PickUpPackage", package.package_sn, by=DRIVER, evidence_ids=[photo.evidence_id]
                ),
            ),
            return_exceptions=True,
        )
        won = [result for result in results if isinstance(result, pb.Package)]
        lost = [result for result in results if isinstance(result, grpc.aio.AioRpcError)]
        assert (len(won), len(lost)) == (1, 1)
        assert lost[0].code() is grpc.StatusCode.FAILED_PRECONDITION
        winners.append(won[0].state)
        cancelled = won[0].state == pb.PACKAGE_STATE_CANCELLED
        await delivery.stock_state(package.package_sn, "RELEASED" if cancelled else "COMMITTED")
    assert set(winners) == {pb.PACKAGE_STATE_CANCELLED, pb.PACKAGE_STATE_PICKED_UP}
    assert delivery.inventory.held("A") == 0
    assert await delivery.findings() == []


async def after(seconds: float, call: Awaitable[pb.Package]) -> pb.Package:
    """Makes the call a little later."""
    await asyncio.sleep(seconds)
    return await call
