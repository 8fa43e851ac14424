"""Orders, and what they say of their packages."""

from holdfast.delivery.v1 import order_pb2 as pb

from delivery_service.application.ports import PackageFilter
from delivery_service.application.reads import get_order, list_orders
from delivery_service.application.register_order import register_order
from delivery_service.domain.order import Order, OrderPackage
from delivery_service.domain.package import Package
from delivery_service.rpc.messages import order
from delivery_service.rpc.messages.package import package_message
from delivery_service.rpc.methods import Methods
from delivery_service.rpc.request_unit_of_work import RequestUnitOfWork
from servicekit.rpc.context import Context
from servicekit.rpc.paging import after_number, one_page


class OrderMethods(Methods):
    """The part of DeliveryService that speaks of orders."""

    async def RegisterOrder(
        self, request: pb.RegisterOrderRequest, context: Context
    ) -> pb.RegisterOrderResponse:
        command = order.register_order(request)

        async def registered(uow: RequestUnitOfWork) -> tuple[Order, list[OrderPackage]]:
            await register_order(command, uow)
            return await get_order(command.order_id, uow)

        return await self._change(
            request,
            registered,
            lambda found: pb.RegisterOrderResponse(order=order.order_message(*found)),
            pb.RegisterOrderResponse,
            context,
        )

    async def GetOrder(self, request: pb.GetOrderRequest, context: Context) -> pb.GetOrderResponse:
        wanted = order.order_id(request)
        found, packages = await self._transactions.read(lambda uow: get_order(wanted, uow))
        return pb.GetOrderResponse(order=order.order_message(found, packages))

    async def ListOrders(self, request: pb.ListOrdersRequest, context: Context) -> pb.ListOrdersResponse:
        wanted, page = order.list_orders(request)
        before = after_number(page)
        found, packages = await self._transactions.read(
            lambda uow: list_orders(wanted, page.size + 1, before, uow)
        )
        orders, token = one_page(
            request,
            page,
            found,
            lambda row: (str(row.order_id),),
            lambda row: order.order_message(row, packages),
        )
        return pb.ListOrdersResponse(orders=orders, next_page_token=token)

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
        before = after_number(page)

        async def work(uow: RequestUnitOfWork) -> list[Package]:
            await get_order(wanted, uow)
            return await uow.packages.list_packages(PackageFilter(order_id=wanted), page.size + 1, before)

        found = await self._transactions.read(work)
        packages, token = one_page(request, page, found, lambda row: (str(row.package_id),), package_message)
        return pb.ListOrderPackagesResponse(packages=packages, next_page_token=token)
