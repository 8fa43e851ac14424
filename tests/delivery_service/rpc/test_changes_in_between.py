"""What others commit between two statements of a call."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from holdfast.delivery.v1 import package_pb2 as pb
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from delivery_service.persistence import consistency
from delivery_service.persistence.order_lists import has_order_lists
from delivery_service.persistence.orders import SqlOrders
from delivery_service.persistence.packages import SqlPackages
from servicekit.persistence.conflicts import lock_wait_ended
from tests.delivery_service.client import MERCHANT, Delivery
from tests.delivery_service.rpc.reconciling import execute


def once_before(
    monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, change: Callable[[], Awaitable[object]]
) -> None:
    """Lets `change` happen right before the first call of this method."""
    method: Any = getattr(owner, name)

    async def changed_before(*given: Any) -> Any:
        monkeypatch.setattr(owner, name, method)
        await change()
        return await method(*given)

    monkeypatch.setattr(owner, name, changed_before)


async def test_an_order_that_is_mapped_while_a_step_waits_for_the_others_is_moved_with_them(
    delivery: Delivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    for order_id in (4, 5):
        await delivery.order({"A": 1}, order_id)
    await delivery.create("MERCHANT_TO_USER", ["4"], package_sn="PG1")
    await delivery.quiet()

    async def map_order() -> None:
        await execute(
            delivery, "INSERT INTO tigu_prepare_goods_order SELECT id, 5, 0 FROM tigu_prepare_goods"
        )
        await execute(delivery, "UPDATE tigu_prepare_goods SET order_ids = '4,5'")

    photo = await delivery.upload("PG1", "PREPARATION")
    once_before(monkeypatch, SqlOrders, "lock", map_order)
    await delivery.move("PreparePackage", "PG1", by=MERCHANT, evidence_ids=[photo.evidence_id])

    async with delivery.engine.connect() as connection:
        seen = "SELECT id, shipping_status FROM tigu_order ORDER BY id"
        told = "SELECT order_id FROM tigu_order_action WHERE action_type = 0 ORDER BY order_id"
        assert [tuple(row) for row in await connection.execute(text(seen))] == [(4, 1), (5, 1)]
        assert list((await connection.execute(text(told))).scalars()) == [4, 5]
    assert await delivery.findings("orders") == []


async def test_packages_and_orders_are_counted_as_of_one_instant(
    delivery: Delivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    await delivery.create("MERCHANT_TO_USER", [await delivery.order({"A": 1}, 4)])
    order_id = await delivery.order({"A": 1}, 5)
    once_before(
        monkeypatch, SqlPackages, "order_counts", lambda: delivery.create("MERCHANT_TO_USER", [order_id])
    )

    counted = await delivery.stub.GetWorkflowDistribution(pb.GetWorkflowDistributionRequest(), timeout=10)

    assert [(share.packages, share.orders) for share in counted.workflows if share.packages] == [(1, 1)]
    assert len((await delivery.stub.ListPackages(pb.ListPackagesRequest(), timeout=10)).packages) == 2


async def test_the_lists_of_orders_stay_while_a_check_looks_at_them(
    delivery: Delivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    await delivery.create("MERCHANT_TO_USER", package_sn="PG1")
    await execute(delivery, "UPDATE tigu_prepare_goods SET order_ids = '9'")
    refused: list[bool] = []

    async def asked_before_a_drop(connection: Any) -> bool:
        there = await has_order_lists(connection)
        try:
            async with delivery.engine.connect() as other:
                await other.execute(text("SET SESSION lock_wait_timeout = 1"))
                await other.execute(text("ALTER TABLE tigu_prepare_goods DROP COLUMN order_ids"))
        except DBAPIError as error:
            refused.append(lock_wait_ended(error))
        return there

    monkeypatch.setattr(consistency, "has_order_lists", asked_before_a_drop)
    found = await delivery.findings("mapping")
    monkeypatch.undo()

    await execute(
        delivery, "UPDATE tigu_prepare_goods SET order_ids = (SELECT order_id FROM tigu_prepare_goods_order)"
    )
    assert found == ["PG1: mapping and order_ids differ"]
    assert set(refused) == {True}
