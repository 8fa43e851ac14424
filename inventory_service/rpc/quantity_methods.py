"""Quantities: what changes them, and the ledger of their changes."""

from holdfast.inventory.v1 import movement_pb2 as pb

from inventory_service.application.adjust_stock import adjust_stock
from inventory_service.application.batch_adjust_stocks import batch_adjust_stocks
from inventory_service.application.list_movements import list_movements
from inventory_service.application.set_stock_quantity import set_stock_quantity
from inventory_service.rpc.caller import current_actor
from inventory_service.rpc.messages import movement
from inventory_service.rpc.messages.stock import stock_message, stock_numbers
from inventory_service.rpc.methods import Methods
from servicekit.rpc.context import Context
from servicekit.rpc.paging import after_time_and_number, one_page
from servicekit.rpc.times import timestamp


class QuantityMethods(Methods):
    """The part of InventoryService that speaks of quantities."""

    async def AdjustStock(self, request: pb.AdjustStockRequest, context: Context) -> pb.AdjustStockResponse:
        command = movement.adjust_stock(request, current_actor())
        return await self._change(
            request,
            lambda uow: adjust_stock(command, uow),
            lambda done: pb.AdjustStockResponse(
                stock=stock_message(done[0]), movement=movement.movement_message(done[1])
            ),
            pb.AdjustStockResponse,
            context,
            about=command.sku,
            name="adjust",
        )

    async def BatchAdjustStocks(
        self, request: pb.BatchAdjustStocksRequest, context: Context
    ) -> pb.BatchAdjustStocksResponse:
        commands = movement.batch_adjust_stocks(request, current_actor())
        return await self._change(
            request,
            lambda uow: batch_adjust_stocks(commands, uow),
            lambda done: pb.BatchAdjustStocksResponse(
                stocks=map(stock_numbers, done[0]), movements=map(movement.movement_message, done[1])
            ),
            pb.BatchAdjustStocksResponse,
            context,
            name="adjust",
        )

    async def SetStockQuantity(
        self, request: pb.SetStockQuantityRequest, context: Context
    ) -> pb.SetStockQuantityResponse:
        command = movement.set_stock_quantity(request, current_actor())
        return await self._change(
            request,
            lambda uow: set_stock_quantity(command, uow),
            lambda done: pb.SetStockQuantityResponse(
                stock=stock_message(done[0]),
                movement=movement.movement_message(done[1]) if done[1] else None,
            ),
            pb.SetStockQuantityResponse,
            context,
            about=command.sku,
            name="adjust",
        )

    async def ListMovements(
        self, request: pb.ListMovementsRequest, context: Context
    ) -> pb.ListMovementsResponse:
        wanted, page = movement.list_movements(request)
        after = after_time_and_number(page)
        found, archived_before = await self._transactions.read(
            lambda uow: list_movements(wanted, page.size + 1, after, uow)
        )
        movements, token = one_page(request, page, found, movement.movement_key, movement.movement_message)
        return pb.ListMovementsResponse(
            movements=movements, next_page_token=token, archived_before_time=timestamp(archived_before)
        )
