"""Imports and exports: streams of stocks, a part a transaction."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from uuid import UUID

import structlog
from holdfast.inventory.v1 import transfer_pb2 as pb

from inventory_service.application.import_stocks import import_stocks
from inventory_service.application.ports import UnitOfWork
from inventory_service.application.stock_ports import StockFilter
from inventory_service.domain.stock import Stock
from inventory_service.rpc.caller import current_actor
from inventory_service.rpc.import_stream import import_messages
from inventory_service.rpc.messages import transfer
from inventory_service.rpc.messages.stock import stock_message
from inventory_service.rpc.methods import Methods
from servicekit.errors import Draining
from servicekit.rpc.context import Context

TRANSFER_SECONDS = 3600.0
"""How long an import or an export may last, with a deadline or without."""
EXPORT_ROWS = 500

log = structlog.get_logger("transfer")


async def _stocks_after(after: str | None, wanted: StockFilter, uow: UnitOfWork) -> list[Stock]:
    return await uow.stocks.list_stocks(wanted, EXPORT_ROWS, after)


class TransferMethods(Methods):
    """The part of InventoryService that takes in and gives out whole inventories."""

    async def ImportStocks(
        self, request: AsyncIterator[pb.ImportStocksRequest], context: Context
    ) -> pb.ImportStocksResponse:
        whole = pb.ImportStocksResponse()
        async with import_messages(request, self._draining) as following:
            options = await transfer.import_options(following, current_actor())
            try:
                async for rows in transfer.import_parts(following, options):
                    part = await self._change(
                        pb.ImportStocksRequest(),
                        partial(import_stocks, options.run, rows),
                        transfer.outcome_message,
                        pb.ImportStocksResponse,
                        context,
                        name="import",
                    )
                    transfer.add_part(whole, part)
            finally:
                await asyncio.shield(self._forget_stream(options.run.stream_id))
        return whole

    async def ExportStocks(
        self, request: pb.ExportStocksRequest, context: Context
    ) -> AsyncIterator[pb.ExportStocksResponse]:
        wanted = transfer.export_stocks(request)
        after: str | None = None
        while True:
            if self._draining.is_set():
                raise Draining
            stocks = await self._transactions.read(partial(_stocks_after, after, wanted))
            for stock in stocks:
                yield pb.ExportStocksResponse(stock=stock_message(stock))
            if len(stocks) < EXPORT_ROWS:
                return
            after = stocks[-1].sku

    async def _forget_stream(self, stream_id: UUID) -> None:
        try:
            await self._transactions.run(lambda uow: uow.imports.end_stream(stream_id), repeatable=True)
        except Exception as error:
            # The sweeper of old imports finds what is left.
            log.info("an import's lines stay for the sweeper", error=type(error).__name__)
