"""The relay: a slow answer holds up its own package only, and what it cannot settle is told."""

import asyncio

from holdfast.delivery.v1 import package_pb2 as pb
from structlog.testing import capture_logs

from delivery_service.application.stock_ports import Refused
from tests.delivery_service.client import Delivery, eventually
from tests.servicekit.waiting import until


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


async def test_what_is_tried_again_or_set_aside_is_told_with_its_reason(delivery: Delivery) -> None:
    delivery.inventory.down = True
    with capture_logs() as logs:
        await delivery.create("MERCHANT_TO_USER", package_sn="PG1")
        delivery.inventory.down = False
        package = await delivery.stock_state("PG1", "HELD")
        delivery.inventory.refuse["commit"] = Refused("RESERVATION_ALREADY_RESOLVED", "it is RELEASED")
        await delivery.drive(package, until="DeliverPackage")
        # What became of a command is told once it is recorded.
        await until(lambda: any(entry["event"] == "parked" for entry in logs))

    told = [entry for entry in logs if entry["event"] in ("try later", "parked")]
    assert {
        (entry["package_sn"], entry["command"], entry["log_level"], entry["error"]) for entry in told
    } == {
        ("PG1", "RESERVE", "info", "UNAVAILABLE: down"),
        ("PG1", "COMMIT", "error", "RESERVATION_ALREADY_RESOLVED: it is RELEASED"),
    }
    assert all(entry["call_id"] for entry in told)
