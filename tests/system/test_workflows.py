"""An order's way through each workflow, whole."""

import pytest
from holdfast.delivery.v1 import package_pb2 as pb

from devtools.journey import STEPS
from tests.support.town import Town

PATHS = {
    pb.WORKFLOW_MERCHANT_TO_WAREHOUSE: (
        "PENDING PREPARED WAREHOUSE_RECEIVED OUT_FOR_DELIVERY DELIVERED COMPLETED"
    ),
    pb.WORKFLOW_MERCHANT_TO_USER: "PENDING PREPARED DELIVERED COMPLETED",
    pb.WORKFLOW_DRIVER_TO_WAREHOUSE: (
        "PENDING PREPARED PICKED_UP AT_WAREHOUSE WAREHOUSE_RECEIVED OUT_FOR_DELIVERY DELIVERED COMPLETED"
    ),
    pb.WORKFLOW_DRIVER_TO_USER: "PENDING PREPARED PICKED_UP DELIVERED COMPLETED",
}


@pytest.mark.parametrize("workflow", STEPS, ids=lambda workflow: pb.Workflow.Name(workflow))
async def test_a_package_travels_its_workflow_and_its_stock_leaves_the_shelf_once(
    town: Town, workflow: pb.Workflow.ValueType
) -> None:
    left, right = await town.stock(10), await town.stock(3)

    package = await town.package_of(workflow, {left: 4, right: 3})
    assert package.stock_state == pb.STOCK_STATE_HELD
    assert [await town.levels(left), await town.levels(right)] == [(10, 4), (3, 3)]

    package = await town.drive(package)
    package = await town.stock_state(package.package_sn, pb.STOCK_STATE_COMMITTED)

    assert [await town.levels(left), await town.levels(right)] == [(6, 0), (0, 0)]
    assert await _path(town, package.package_sn) == PATHS[workflow].split()
    assert await town.findings() == []


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


async def _path(town: Town, package_sn: str) -> list[str]:
    """The states the timeline tells, oldest first."""
    request = pb.ListPackageEventsRequest(package_sn=package_sn, page_size=100)
    events = sorted(
        (await town.delivery.ListPackageEvents(request, timeout=10)).events, key=lambda event: event.sequence
    )
    states = ["PENDING"]
    for event in events:
        name = pb.PackageState.Name(event.to_state).removeprefix("PACKAGE_STATE_")
        if name != states[-1]:
            states.append(name)
    return states
