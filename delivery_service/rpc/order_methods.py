"""Orders, and what they say of their packages."""

from holdfast.delivery.v1 import delivery_pb2_grpc
from holdfast.delivery.v1 import order_pb2 as pb

from delivery_service.application.ports import PackageFilter
from delivery_service.application.reads import get_order, list_orders
from delivery_service.application.register_order import register_order
from delivery_service.domain.package import Package
from delivery_service.rpc.messages import order
from delivery_service.rpc.messages.package import package_message
from delivery_service.rpc.pages import last_number, one_page
from delivery_service.rpc.work import Work
from servicekit.context import Context
from servicekit.mutations import Mutations
from servicekit.transactions import Transactions


class OrderMethods(delivery_pb2_grpc.DeliveryServiceServicer):
    """The part of DeliveryService that speaks of orders."""

    _transactions: Transactions[Work]
    _mutations: Mutations[Work]

    async def RegisterOrder(
        self, request: pb.RegisterOrderRequest, context: Context
    ) -> pb.RegisterOrderResponse:
        command = order.register_order(request)

        async def work(uow: Work) -> pb.RegisterOrderResponse:
            await register_order(command, uow)
            found, packages = await get_order(command.order_id, uow)
            return pb.RegisterOrderResponse(order=order.order_message(found, packages))

        return await self._mutations.run(
            request, work, pb.RegisterOrderResponse, context=context, repeatable=True
        )

    async def GetOrder(self, request: pb.GetOrderRequest, context: Context) -> pb.GetOrderResponse:
        wanted = order.order_id(request)
        found, packages = await self._transactions.read(lambda uow: get_order(wanted, uow))
        return pb.GetOrderResponse(order=order.order_message(found, packages))

    async def ListOrders(self, request: pb.ListOrdersRequest, context: Context) -> pb.ListOrdersResponse:
        wanted, page = order.list_orders(request)
        before = last_number(page)
        found, packages = await self._transactions.read(
            lambda uow: list_orders(wanted, page.size + 1, before, uow)
        )
        rows, token = one_page(request, page, found, lambda row: (str(row.order_id),))
        messages = [order.order_message(row, packages) for row in rows]
        return pb.ListOrdersResponse(orders=messages, next_page_token=token)

    async def GetOrderDeliveryType(
        self, request: pb.GetOrderDeliveryTypeRequest, context: Context
    ) -> pb.GetOrderDeliveryTypeResponse:
        wanted = order.order_id(request)
        _, packages = await self._transactions.read(lambda uow: get_order(wanted, uow))
        return order.delivery_type_message(packages)

    async def ListOrderPackages(
        self, request: pb.ListOrderPackagesRequest, context: Context
    ) -> pb.ListOrderPackagesResponse:
        wanted, page = order.list_order_packages(request)
        before = last_number(page)

        async def work(uow: Work) -> list[Package]:
            await get_order(wanted, uow)
            return await uow.packages.list_packages(PackageFilter(order_id=wanted), page.size + 1, before)

        found = await self._transactions.read(work)
        rows, token = one_page(request, page, found, lambda row: (str(row.package_id),))
        return pb.ListOrderPackagesResponse(packages=map(package_message, rows), next_page_token=token)
