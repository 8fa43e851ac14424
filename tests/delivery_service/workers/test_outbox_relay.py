"""The relay: a slow answer holds up its own package only, and what it cannot settle is told."""

import asyncio
import json
import uuid
from datetime import UTC, datetime, timedelta

from holdfast.delivery.v1 import package_pb2 as pb
from sqlalchemy import insert, select
from structlog.testing import capture_logs

from delivery_service.application.stock_ports import Refused
from delivery_service.persistence.outbox import INFLIGHT, PARKED, PENDING
from delivery_service.persistence.tables import outbox
from delivery_service.workers.outbox_relay import AT_ONCE
from tests.delivery_service.client import Delivery, eventually


def entry(number: int) -> dict[str, object]:
    """A command that is due, about a package of its own."""
    now = datetime.now(UTC) - timedelta(seconds=1)
    return {
        "event_id": uuid.uuid4().hex,
        "package_id": number,
        "package_sn": f"P{number}",
        "package_version": 1,
        "command": "RELEASE",
        "payload": json.dumps({"reservation_id": f"P{number}:1", "lines": {}}),
        "trace": "",
        "state": PENDING,
        "attempts": 0,
        "next_attempt_time": now,
        "create_time": now,
    }


async def test_a_slow_answer_holds_up_its_own_package_only(delivery: Delivery) -> None:
    leave = asyncio.Event()

    async def slow() -> None:
        if delivery.inventory.calls[-1][1] == "SLOW:1":
            await leave.wait()

    delivery.inventory.before_answer = slow
    slow_one = asyncio.create_task(delivery.create("DRIVER_TO_USER", package_sn="SLOW"))

    async def asked() -> bool:
        return ("reserve", "SLOW:1") in delivery.inventory.calls

    await eventually(asked)
    for _ in range(3):
        quick = await asyncio.gather(*(delivery.create("DRIVER_TO_USER") for _ in range(4)))
        assert {package.stock_state for package in quick} == {pb.STOCK_STATE_HELD}

    assert (await delivery.get("SLOW")).stock_state == pb.STOCK_STATE_REQUESTED
    leave.set()
    await slow_one
    await delivery.stock_state("SLOW", "HELD")
    assert delivery.inventory.calls.count(("reserve", "SLOW:1")) == 1


async def test_no_more_is_taken_on_lease_than_there_is_room_for(delivery: Delivery) -> None:
    wanted = 2 * AT_ONCE + 3
    answering = asyncio.Event()
    delivery.inventory.before_answer = answering.wait
    async with delivery.engine.begin() as connection:
        await connection.execute(insert(outbox), [entry(number) for number in range(wanted)])

    async def states() -> list[int]:
        async with delivery.engine.connect() as connection:
            return list((await connection.execute(select(outbox.c.state))).scalars())

    async def taken() -> bool:
        return (await states()).count(INFLIGHT) >= AT_ONCE

    await eventually(taken)
    # The relay looks again ten times a second.
    await asyncio.sleep(0.3)
    assert (await states()).count(INFLIGHT) == len(delivery.inventory.calls) == AT_ONCE

    answering.set()
    await delivery.quiet()
    assert len(set(delivery.inventory.calls)) == len(delivery.inventory.calls) == wanted
    # There are no such packages, so people have to look.
    assert await states() == [PARKED] * wanted


async def test_what_is_tried_again_or_set_aside_is_told_with_its_reason(delivery: Delivery) -> None:
    delivery.inventory.down = True
    with capture_logs() as logs:
        await delivery.create("MERCHANT_TO_USER", package_sn="PG1")
        delivery.inventory.down = False
        package = await delivery.stock_state("PG1", "HELD")
        delivery.inventory.refuse["commit"] = Refused("RESERVATION_ALREADY_RESOLVED", "it is RELEASED")
        await delivery.drive(package, until="DeliverPackage")
        await delivery.quiet()

    told = [entry for entry in logs if entry["event"] in ("try later", "parked")]
    assert {
        (entry["package_sn"], entry["command"], entry["log_level"], entry["error"]) for entry in told
    } == {
        ("PG1", "RESERVE", "info", "UNAVAILABLE: down"),
        ("PG1", "COMMIT", "error", "RESERVATION_ALREADY_RESOLVED: it is RELEASED"),
    }
    assert all(entry["call_id"] for entry in told)
