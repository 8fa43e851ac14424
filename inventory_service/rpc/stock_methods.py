"""Stocks, and what is known of them."""

from holdfast.inventory.v1 import stock_pb2 as pb

from inventory_service.application.change_stock_status import change_stock_status
from inventory_service.application.create_stock import create_stock
from inventory_service.application.delete_stock import delete_stock
from inventory_service.application.reads import get_stock
from inventory_service.application.update_stock import update_stock
from inventory_service.rpc.caller import current_actor
from inventory_service.rpc.messages import stock
from inventory_service.rpc.methods import Methods
from servicekit.rpc.context import Context
from servicekit.rpc.paging import first_that_fit, one_page


class StockMethods(Methods):
    """The part of InventoryService that speaks of stocks."""

    async def CreateStock(self, request: pb.CreateStockRequest, context: Context) -> pb.CreateStockResponse:
        command = stock.create_stock(request, current_actor())
        return await self._change(
            request,
            lambda uow: create_stock(command, uow),
            lambda made: pb.CreateStockResponse(stock=stock.stock_message(made)),
            pb.CreateStockResponse,
            context,
        )

    async def GetStock(self, request: pb.GetStockRequest, context: Context) -> pb.GetStockResponse:
        sku = stock.sku(request)
        found = await self._transactions.read(lambda uow: get_stock(sku, uow))
        return pb.GetStockResponse(stock=stock.stock_message(found))

    async def BatchGetStocks(
        self, request: pb.BatchGetStocksRequest, context: Context
    ) -> pb.BatchGetStocksResponse:
        skus = stock.skus(request)
        found = await self._transactions.read(lambda uow: uow.stocks.get_many(skus))
        known = [sku for sku in skus if sku in found]
        stocks = first_that_fit(stock.stock_message(found[sku]) for sku in known)
        return pb.BatchGetStocksResponse(
            stocks=stocks,
            missing_skus=[sku for sku in skus if sku not in found],
            unread_skus=known[len(stocks) :],
        )

    async def UpdateStock(self, request: pb.UpdateStockRequest, context: Context) -> pb.UpdateStockResponse:
        command = stock.update_stock(request)
        return await self._change(
            request,
            lambda uow: update_stock(command, uow),
            lambda changed: pb.UpdateStockResponse(stock=stock.stock_message(changed)),
            pb.UpdateStockResponse,
            context,
            about=command.sku,
        )

    async def ChangeStockStatus(
        self, request: pb.ChangeStockStatusRequest, context: Context
    ) -> pb.ChangeStockStatusResponse:
        command = stock.change_stock_status(request)
        return await self._change(
            request,
            lambda uow: change_stock_status(command, uow),
            lambda changed: pb.ChangeStockStatusResponse(stock=stock.stock_message(changed)),
            pb.ChangeStockStatusResponse,
            context,
            about=command.sku,
        )

    async def DeleteStock(self, request: pb.DeleteStockRequest, context: Context) -> pb.DeleteStockResponse:
        command = stock.delete_stock(request)
        return await self._change(
            request,
            lambda uow: delete_stock(command, uow),
            lambda _: pb.DeleteStockResponse(),
            pb.DeleteStockResponse,
            context,
            about=command.sku,
        )

    async def ListStocks(self, request: pb.ListStocksRequest, context: Context) -> pb.ListStocksResponse:
        wanted, page = stock.list_stocks(request)
        after = stock.stocks_after(page, wanted.by_sku)
        found = await self._transactions.read(
            lambda uow: uow.stocks.list_stocks(wanted, page.size + 1, after)
        )
        stocks, token = one_page(
            request, page, found, lambda row: stock.stock_key(row, wanted.by_sku), stock.stock_message
        )
        return pb.ListStocksResponse(stocks=stocks, next_page_token=token)
