"""An order's way through each workflow, whole."""

import asyncio

from holdfast.delivery.v1 import package_pb2 as pb

from devtools.journey import STEPS
from tests.support.services import Pair
from tests.support.town import Town
from tests.system.replicas import SHELF, UNITS, replicas


async def test_every_workflow_ends_though_a_replica_of_each_service_is_killed(pair: Pair) -> None:
    """All four, a second leg and a cancellation, proved by photos of cameras."""
    async with replicas(pair) as both:
        killing = asyncio.create_task(both.kill_in_the_midst())

        *sold, cancelled = await asyncio.gather(
            *(both.travel(workflow) for workflow in STEPS), both.travel_on(), both.cancel()
        )
        await killing

        for sku in sold:
            assert await both.town.levels(sku) == (SHELF - UNITS, 0)
            assert (await both.movements(sku))["MOVEMENT_REASON_SOLD"] == 1
        assert await both.town.levels(cancelled) == (SHELF, 0)
        assert (await both.movements(cancelled))["MOVEMENT_REASON_SOLD"] == 0
        assert await both.town.findings() == []


async def test_a_cancelled_package_gives_its_stock_back(town: Town) -> None:
    sku = await town.stock(5)
    package = await town.package_of(pb.WORKFLOW_MERCHANT_TO_USER, {sku: 5})

    await town.cancel(package.package_sn)
    package = await town.stock_state(package.package_sn, pb.STOCK_STATE_RELEASED)

    assert package.state == pb.PACKAGE_STATE_CANCELLED
    assert await town.levels(sku) == (5, 0)


async def test_a_shortage_rejects_the_package_and_names_every_short_line(town: Town) -> None:
    plenty, short, empty = await town.stock(9), await town.stock(1), await town.stock(0)

    package = await town.package_of(pb.WORKFLOW_DRIVER_TO_USER, {plenty: 2, short: 2, empty: 1})

    assert package.stock_state == pb.STOCK_STATE_REJECTED
    assert package.rejection_reason == "INSUFFICIENT_STOCK"
    assert {(line.sku, line.quantity, line.available_quantity) for line in package.shortages} == {
        (short, 2, 1),
        (empty, 1, 0),
    }
    assert await town.levels(plenty) == (9, 0)


async def test_a_package_with_an_unknown_sku_is_rejected_and_cancelled_cleanly(town: Town) -> None:
    known = await town.stock(2)

    package = await town.package_of(pb.WORKFLOW_MERCHANT_TO_USER, {known: 1, "NO-SUCH-SKU": 1})
    assert (package.stock_state, package.rejection_reason) == (pb.STOCK_STATE_REJECTED, "STOCK_NOT_FOUND")

    await town.cancel(package.package_sn)
    package = await town.get(package.package_sn)
    assert package.state == pb.PACKAGE_STATE_CANCELLED
    assert await town.levels(known) == (2, 0)
    assert await town.findings() == []


async def test_a_rejected_package_holds_its_stock_after_it_arrived_and_a_retry(town: Town) -> None:
    sku = await town.stock(1)
    first = await town.package_of(pb.WORKFLOW_MERCHANT_TO_USER, {sku: 1})
    second = await town.package_of(pb.WORKFLOW_MERCHANT_TO_USER, {sku: 1})
    assert second.stock_state == pb.STOCK_STATE_REJECTED

    await town.cancel(first.package_sn)
    await town.stock_state(first.package_sn, pb.STOCK_STATE_RELEASED)
    request = pb.RetryReservationRequest(package_sn=second.package_sn)
    await town.delivery.RetryReservation(request, metadata=town.parties.metadata("merchant"), timeout=10)

    package = await town.stock_state(second.package_sn, pb.STOCK_STATE_HELD)
    assert package.attempt == second.attempt + 1
    assert await town.levels(sku) == (1, 1)
