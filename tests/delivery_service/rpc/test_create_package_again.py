"""CreatePackage repeated, raced, cut short: one package, one hold."""

import asyncio
import time

import grpc
import pytest
from holdfast.delivery.v1 import package_pb2 as pb

from delivery_service.rpc import package_methods
from tests.delivery_service.client import MERCHANT, Delivery


async def test_the_same_package_sn_is_the_same_package_and_other_content_is_refused(
    delivery: Delivery,
) -> None:
    order = await delivery.order({"A": 2})
    first = await delivery.create("DRIVER_TO_USER", [order], package_sn="MINE-1")

    again = await delivery.create("DRIVER_TO_USER", [order], package_sn="MINE-1")
    other = await delivery.refused(delivery.create("MERCHANT_TO_USER", [order], package_sn="MINE-1"))

    assert again == first
    assert delivery.inventory.held("A") == 2
    assert (other.code, other.reason) == (grpc.StatusCode.ALREADY_EXISTS, "PACKAGE_EXISTS")
    assert other.resource == ("package", "MINE-1")


async def test_a_repeated_request_id_has_one_effect_and_says_that_it_is_a_replay(delivery: Delivery) -> None:
    order, other = await delivery.order({"A": 2}), await delivery.order({"A": 2})
    request = delivery.create_request("DRIVER_TO_USER", [order], request_id="r1")
    first = await delivery.stub.CreatePackage(request, metadata=MERCHANT, timeout=10)
    before = await delivery.everything()

    call = delivery.stub.CreatePackage(request, metadata=MERCHANT, timeout=10)

    assert await call == first
    assert ("idempotent-replayed", "true") in tuple(await call.initial_metadata())
    assert await delivery.everything() == before
    changed = delivery.create_request("DRIVER_TO_USER", [other], request_id="r1")
    refusal = await delivery.refused(delivery.stub.CreatePackage(changed, metadata=MERCHANT, timeout=10))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_ID_REUSED")


async def test_an_order_packed_by_many_at_once_is_in_one_package(delivery: Delivery) -> None:
    order = await delivery.order({"A": 2})

    async def create() -> str:
        try:
            return (await delivery.create("DRIVER_TO_USER", [order])).package_sn
        except grpc.aio.AioRpcError as error:
            assert "ORDER_ALREADY_PACKED" in str(error.trailing_metadata())
            return ""

    made = await asyncio.gather(*(create() for _ in range(20)))

    assert len([package_sn for package_sn in made if package_sn]) == 1
    assert delivery.inventory.held("A") == 2


async def test_one_package_sn_sent_many_times_at_once_is_one_package(delivery: Delivery) -> None:
    order = await delivery.order({"A": 2})

    made = await asyncio.gather(
        *(delivery.create("DRIVER_TO_USER", [order], package_sn="ONE") for _ in range(20))
    )

    assert {package.package_sn for package in made} == {"ONE"}
    assert [command for command, _ in delivery.inventory.calls] == ["reserve"]


async def test_with_inventory_down_the_package_is_safe_and_its_hold_comes_later(delivery: Delivery) -> None:
    delivery.inventory.down = True
    began = time.monotonic()

    package = await delivery.create("DRIVER_TO_USER")

    assert 1.5 < time.monotonic() - began < 4
    assert package.stock_state == pb.STOCK_STATE_REQUESTED
    delivery.inventory.down = False
    await delivery.stock_state(package.package_sn, "HELD")
    assert len(set(delivery.inventory.calls)) == 1


async def test_the_wait_for_inventory_ends_before_the_callers_deadline(
    delivery: Delivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(package_methods, "LONGEST_WAIT_SECONDS", 60.0)
    # More than the 50 ms that are shipped: they would test how busy the machine is, too.
    monkeypatch.setattr(package_methods, "ANSWERING_SECONDS", 1.0)
    delivery.inventory.down = True
    order = await delivery.order({"A": 1})

    package = await delivery.create("DRIVER_TO_USER", [order], seconds=2.5)

    assert package.stock_state == pb.STOCK_STATE_REQUESTED


async def test_a_deadline_too_short_to_begin_does_nothing(delivery: Delivery) -> None:
    order = await delivery.order({"A": 1})
    before = await delivery.everything()

    with pytest.raises(grpc.aio.AioRpcError) as error:
        await delivery.create("DRIVER_TO_USER", [order], seconds=0.02)

    assert error.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert await delivery.everything() == before
