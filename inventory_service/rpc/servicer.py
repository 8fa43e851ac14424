"""InventoryService, whole: the parts share one way to read and one to change."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime

import grpc
from holdfast.inventory.v1 import inventory_pb2, inventory_pb2_grpc

from inventory_service.rpc.availability_methods import AvailabilityMethods
from inventory_service.rpc.history_methods import HistoryMethods
from inventory_service.rpc.listing_methods import ListingMethods
from inventory_service.rpc.quantity_methods import QuantityMethods
from inventory_service.rpc.report_methods import REFRESH_SECONDS, ReportMethods
from inventory_service.rpc.reserve_stream import ReserveStreamMethods
from inventory_service.rpc.stock_methods import StockMethods
from inventory_service.rpc.transfer_methods import TRANSFER_SECONDS, TransferMethods
from inventory_service.rpc.work import Work
from servicekit.mutations import Mutations
from servicekit.transactions import Transactions

SERVICE_NAME = inventory_pb2.DESCRIPTOR.services_by_name["InventoryService"].full_name

LONG_CALLS = {
    f"/{SERVICE_NAME}/{method}": TRANSFER_SECONDS for method in ("ImportStocks", "ExportStocks")
} | {f"/{SERVICE_NAME}/RefreshStockMetrics": REFRESH_SECONDS}


class InventoryServicer(
    StockMethods,
    ListingMethods,
    QuantityMethods,
    ReserveStreamMethods,
    AvailabilityMethods,
    HistoryMethods,
    TransferMethods,
    ReportMethods,
):
    """Answers InventoryService."""

    def __init__(
        self,
        transactions: Transactions[Work],
        mutations: Mutations[Work],
        refresh: Callable[[], Awaitable[datetime]],
        draining: asyncio.Event,
    ) -> None:
        """`refresh` is that of ReportMethods; streams end once `draining` is set."""
        super().__init__(transactions, mutations, refresh)
        self._draining = draining


def register(server: grpc.aio.Server, servicer: InventoryServicer) -> None:
    """Adds InventoryService to the server."""
    inventory_pb2_grpc.add_InventoryServiceServicer_to_server(servicer, server)
