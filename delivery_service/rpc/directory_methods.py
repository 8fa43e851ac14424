"""Drivers and warehouses."""

from holdfast.delivery.v1 import delivery_pb2_grpc
from holdfast.delivery.v1 import directory_pb2 as pb

from delivery_service.application.reads import get_driver, get_warehouse
from delivery_service.application.register_driver import register_driver, set_driver_active
from delivery_service.application.register_warehouse import register_warehouse
from delivery_service.rpc.messages import directory
from delivery_service.rpc.work import Work
from servicekit.context import Context
from servicekit.mutations import Mutations
from servicekit.transactions import Transactions


class DirectoryMethods(delivery_pb2_grpc.DeliveryServiceServicer):
    """The part of DeliveryService that speaks of drivers and warehouses."""

    _transactions: Transactions[Work]
    _mutations: Mutations[Work]

    async def RegisterDriver(
        self, request: pb.RegisterDriverRequest, context: Context
    ) -> pb.RegisterDriverResponse:
        command = directory.register_driver(request)

        async def work(uow: Work) -> pb.RegisterDriverResponse:
            return pb.RegisterDriverResponse(
                driver=directory.driver_message(await register_driver(command, uow))
            )

        return await self._mutations.run(
            request, work, pb.RegisterDriverResponse, context=context, repeatable=True
        )

    async def GetDriver(self, request: pb.GetDriverRequest, context: Context) -> pb.GetDriverResponse:
        wanted = directory.driver_id(request)
        found = await self._transactions.read(lambda uow: get_driver(wanted, uow))
        return pb.GetDriverResponse(driver=directory.driver_message(found))

    async def SetDriverActive(
        self, request: pb.SetDriverActiveRequest, context: Context
    ) -> pb.SetDriverActiveResponse:
        command = directory.set_driver_active(request)

        async def work(uow: Work) -> pb.SetDriverActiveResponse:
            return pb.SetDriverActiveResponse(
                driver=directory.driver_message(await set_driver_active(command, uow))
            )

        return await self._mutations.run(
            request, work, pb.SetDriverActiveResponse, context=context, repeatable=True
        )

    async def RegisterWarehouse(
        self, request: pb.RegisterWarehouseRequest, context: Context
    ) -> pb.RegisterWarehouseResponse:
        command = directory.register_warehouse(request)

        async def work(uow: Work) -> pb.RegisterWarehouseResponse:
            return pb.RegisterWarehouseResponse(
                warehouse=directory.warehouse_message(await register_warehouse(command, uow))
            )

        return await self._mutations.run(
            request, work, pb.RegisterWarehouseResponse, context=context, repeatable=True
        )

    async def GetWarehouse(
        self, request: pb.GetWarehouseRequest, context: Context
    ) -> pb.GetWarehouseResponse:
        wanted = directory.warehouse_id(request)
        found = await self._transactions.read(lambda uow: get_warehouse(wanted, uow))
        return pb.GetWarehouseResponse(warehouse=directory.warehouse_message(found))
