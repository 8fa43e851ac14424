"""Drivers and warehouses."""

import asyncio

import grpc
from holdfast.delivery.v1 import directory_pb2 as pb

from tests.delivery_service.client import Delivery, refused

EXISTS, NOT_FOUND = grpc.StatusCode.ALREADY_EXISTS, grpc.StatusCode.NOT_FOUND


async def test_a_driver_is_registered_once_and_active(delivery: Delivery) -> None:
    request = pb.RegisterDriverRequest(driver_id="90", name="Driver", phone="+90")

    replies = await asyncio.gather(*(delivery.stub.RegisterDriver(request, timeout=10) for _ in range(5)))

    assert {reply.SerializeToString() for reply in replies} == {replies[0].SerializeToString()}
    assert replies[0].driver == pb.Driver(driver_id="90", name="Driver", phone="+90", active=True)
    read = await delivery.stub.GetDriver(pb.GetDriverRequest(driver_id="90"), timeout=10)
    assert read.driver == replies[0].driver


async def test_a_driver_without_an_id_gets_one(delivery: Delivery) -> None:
    request = pb.RegisterDriverRequest(name="Driver", phone="+91")

    first = (await delivery.stub.RegisterDriver(request, timeout=10)).driver
    again = (await delivery.stub.RegisterDriver(request, timeout=10)).driver

    assert int(first.driver_id) > 0
    assert again == first


async def test_a_known_id_or_phone_with_other_content_is_refused(delivery: Delivery) -> None:
    for driver_id, name, phone in [("5", "Driver", "+1"), ("6", "Driver", "+5"), ("5", "Other", "+5")]:
        request = pb.RegisterDriverRequest(driver_id=driver_id, name=name, phone=phone)
        refusal = await delivery.refused(delivery.stub.RegisterDriver(request, timeout=10))
        assert (refusal.code, refusal.reason) == (EXISTS, "DRIVER_EXISTS")


async def test_a_driver_is_switched_off_and_on(delivery: Delivery) -> None:
    for active in (False, True):
        request = pb.SetDriverActiveRequest(driver_id="5", active=active)
        reply = await delivery.stub.SetDriverActive(request, timeout=10)
        assert reply.driver.active is active
        read = await delivery.stub.GetDriver(pb.GetDriverRequest(driver_id="5"), timeout=10)
        assert read.driver.active is active


async def test_a_warehouse_is_registered_once(delivery: Delivery) -> None:
    request = pb.RegisterWarehouseRequest(code="S", name="South", address="Quay 1")

    first = (await delivery.stub.RegisterWarehouse(request, timeout=10)).warehouse
    again = (await delivery.stub.RegisterWarehouse(request, timeout=10)).warehouse

    assert again == first
    read = await delivery.stub.GetWarehouse(
        pb.GetWarehouseRequest(warehouse_id=first.warehouse_id), timeout=10
    )
    assert read.warehouse == first
    other = pb.RegisterWarehouseRequest(code="S", name="West")
    refusal = await delivery.refused(delivery.stub.RegisterWarehouse(other, timeout=10))
    assert (refusal.code, refusal.reason) == (EXISTS, "WAREHOUSE_EXISTS")


async def test_unknown_people_and_places_are_not_found(delivery: Delivery) -> None:
    driver = await refused(delivery.stub.GetDriver(pb.GetDriverRequest(driver_id="404"), timeout=10))
    active = await refused(
        delivery.stub.SetDriverActive(pb.SetDriverActiveRequest(driver_id="404"), timeout=10)
    )
    warehouse = await refused(
        delivery.stub.GetWarehouse(pb.GetWarehouseRequest(warehouse_id="404"), timeout=10)
    )

    assert (driver.code, driver.reason) == (NOT_FOUND, "DRIVER_NOT_FOUND")
    assert active.reason == "DRIVER_NOT_FOUND"
    assert (warehouse.reason, warehouse.resource) == ("WAREHOUSE_NOT_FOUND", ("warehouse", "404"))


async def test_every_violation_is_named_at_once(delivery: Delivery) -> None:
    driver = pb.RegisterDriverRequest(driver_id="05", name=" ", phone="1" * 21, request_id="\n")
    warehouse = pb.RegisterWarehouseRequest(code="x" * 33, name="", address="x" * 257)

    of_driver = await delivery.refused(delivery.stub.RegisterDriver(driver, timeout=10))
    of_warehouse = await delivery.refused(delivery.stub.RegisterWarehouse(warehouse, timeout=10))

    assert [field for field, _ in of_driver.violations] == ["request_id", "driver_id", "name", "phone"]
    assert [field for field, _ in of_warehouse.violations] == ["code", "name", "address"]
