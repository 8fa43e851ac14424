"""Drivers and warehouses."""

from holdfast.delivery.v1 import directory_pb2 as pb

from delivery_service.application.reads import get_driver, get_warehouse
from delivery_service.application.register_driver import register_driver, set_driver_active
from delivery_service.application.register_warehouse import register_warehouse
from delivery_service.rpc.messages import directory
from delivery_service.rpc.methods import Methods
from servicekit.rpc.context import Context


class DirectoryMethods(Methods):
    """The part of DeliveryService that speaks of drivers and warehouses."""

    async def RegisterDriver(
        self, request: pb.RegisterDriverRequest, context: Context
    ) -> pb.RegisterDriverResponse:
        command = directory.register_driver(request)
        return await self._change(
            request,
            lambda uow: register_driver(command, uow),
            lambda driver: pb.RegisterDriverResponse(driver=directory.driver_message(driver)),
            pb.RegisterDriverResponse,
            context,
        )

    async def GetDriver(self, request: pb.GetDriverRequest, context: Context) -> pb.GetDriverResponse:
        wanted = directory.driver_id(request)
        found = await self._transactions.read(lambda uow: get_driver(wanted, uow))
        return pb.GetDriverResponse(driver=directory.driver_message(found))

    async def SetDriverActive(
        self, request: pb.SetDriverActiveRequest, context: Context
    ) -> pb.SetDriverActiveResponse:
        command = directory.set_driver_active(request)
        return await self._change(
            request,
            lambda uow: set_driver_active(command, uow),
            lambda driver: pb.SetDriverActiveResponse(driver=directory.driver_message(driver)),
            pb.SetDriverActiveResponse,
            context,
        )

    async def RegisterWarehouse(
        self, request: pb.RegisterWarehouseRequest, context: Context
    ) -> pb.RegisterWarehouseResponse:
        command = directory.register_warehouse(request)
        return await self._change(
            request,
            lambda uow: register_warehouse(command, uow),
            lambda warehouse: pb.RegisterWarehouseResponse(warehouse=directory.warehouse_message(warehouse)),
            pb.RegisterWarehouseResponse,
            context,
        )

    async def GetWarehouse(
        self, request: pb.GetWarehouseRequest, context: Context
    ) -> pb.GetWarehouseResponse:
        wanted = directory.warehouse_id(request)
        found = await self._transactions.read(lambda uow: get_warehouse(wanted, uow))
        return pb.GetWarehouseResponse(warehouse=directory.warehouse_message(found))
