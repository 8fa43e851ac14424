"""Drivers and warehouses on the wire."""

from holdfast.delivery.v1 import directory_pb2 as pb

from delivery_service.application.register_driver import RegisterDriver, SetDriverActive
from delivery_service.application.register_warehouse import RegisterWarehouse
from delivery_service.domain.directory import Driver, Warehouse
from servicekit.rpc.validation import Violations


def register_driver(request: pb.RegisterDriverRequest) -> RegisterDriver:
    """The command of a RegisterDriver."""
    with Violations() as v:
        v.request_id(request.request_id)
        return RegisterDriver(
            driver_id=v.optional_decimal_id("driver_id", request.driver_id),
            name=v.text("name", request.name, most=100, required=True),
            phone=v.text("phone", request.phone, most=20, required=True),
        )


def set_driver_active(request: pb.SetDriverActiveRequest) -> SetDriverActive:
    """The command of a SetDriverActive."""
    with Violations() as v:
        v.request_id(request.request_id)
        return SetDriverActive(v.decimal_id("driver_id", request.driver_id), request.active)


def register_warehouse(request: pb.RegisterWarehouseRequest) -> RegisterWarehouse:
    """The command of a RegisterWarehouse."""
    with Violations() as v:
        v.request_id(request.request_id)
        code = v.name("code", request.code)
        if len(code) > 32:
            v.add("code", "must have at most 32 characters")
        return RegisterWarehouse(
            warehouse_id=v.optional_decimal_id("warehouse_id", request.warehouse_id),
            code=code,
            name=v.text("name", request.name, most=100, required=True),
            address=v.text("address", request.address, most=256),
        )


def driver_id(request: pb.GetDriverRequest) -> int:
    """The driver that a request names."""
    with Violations() as v:
        return v.decimal_id("driver_id", request.driver_id)


def warehouse_id(request: pb.GetWarehouseRequest) -> int:
    """The warehouse that a request names."""
    with Violations() as v:
        return v.decimal_id("warehouse_id", request.warehouse_id)


def driver_message(driver: Driver) -> pb.Driver:
    """A driver on the wire."""
    return pb.Driver(
        driver_id=str(driver.driver_id), name=driver.name, phone=driver.phone, active=driver.active
    )


def warehouse_message(warehouse: Warehouse) -> pb.Warehouse:
    """A warehouse on the wire."""
    return pb.Warehouse(
        warehouse_id=str(warehouse.warehouse_id),
        code=warehouse.code,
        name=warehouse.name,
        address=warehouse.address,
    )
