"""InventoryService, whole: the parts share one way to read and one to change."""

import math

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

SERVICE_NAME = inventory_pb2.DESCRIPTOR.services_by_name["InventoryService"].full_name

LONG_CALLS = {
    f"/{SERVICE_NAME}/ImportStocks": TRANSFER_SECONDS,
    f"/{SERVICE_NAME}/ExportStocks": TRANSFER_SECONDS,
    f"/{SERVICE_NAME}/RefreshStockMetrics": REFRESH_SECONDS,
    # Its messages have deadlines of their own.
    f"/{SERVICE_NAME}/ReserveStockStream": math.inf,
}


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


def register(server: grpc.aio.Server, servicer: InventoryServicer) -> None:
    """Adds InventoryService to the server."""
    inventory_pb2_grpc.add_InventoryServiceServicer_to_server(servicer, server)
