"""Reports: computed figures, their sums, and low stock."""

from datetime import datetime

from holdfast.inventory.v1 import reports_pb2 as pb

from inventory_service.application.ports import UnitOfWork
from inventory_service.application.read_metrics import (
    get_inventory_summary,
    get_stock_metrics,
    list_stock_metrics,
)
from inventory_service.application.set_stock_threshold import set_stock_threshold
from inventory_service.domain.low_stock import LowStock
from inventory_service.rpc.messages import reports
from inventory_service.rpc.methods import Methods
from servicekit.rpc.context import Context
from servicekit.rpc.paging import after_text, after_time_and_uuid, one_page
from servicekit.rpc.times import timestamp

REFRESH_SECONDS = 600.0
"""How long a call of RefreshStockMetrics may last."""


class ReportMethods(Methods):
    """The part of InventoryService that reports."""

    async def GetStockMetrics(
        self, request: pb.GetStockMetricsRequest, context: Context
    ) -> pb.GetStockMetricsResponse:
        sku, staleness = reports.get_stock_metrics(request)
        found, time = await self._transactions.read(
            lambda uow: get_stock_metrics(sku, staleness, uow), one_snapshot=True
        )
        return pb.GetStockMetricsResponse(
            metrics=reports.metrics_message(found), refresh_time=timestamp(time)
        )

    async def ListStockMetrics(
        self, request: pb.ListStockMetricsRequest, context: Context
    ) -> pb.ListStockMetricsResponse:
        page, staleness = reports.list_stock_metrics(request)
        after = after_text(page)
        found, time = await self._transactions.read(
            lambda uow: list_stock_metrics(page.size + 1, after, staleness, uow), one_snapshot=True
        )
        metrics, token = one_page(request, page, found, lambda row: (row.sku,), reports.metrics_message)
        return pb.ListStockMetricsResponse(
            metrics=metrics, refresh_time=timestamp(time), next_page_token=token
        )

    async def GetInventorySummary(
        self, request: pb.GetInventorySummaryRequest, context: Context
    ) -> pb.GetInventorySummaryResponse:
        staleness = reports.get_inventory_summary(request)
        found, time = await self._transactions.read(
            lambda uow: get_inventory_summary(staleness, uow), one_snapshot=True
        )
        return pb.GetInventorySummaryResponse(
            statuses=map(reports.summary_message, found), refresh_time=timestamp(time)
        )

    async def RefreshStockMetrics(
        self, request: pb.RefreshStockMetricsRequest, context: Context
    ) -> pb.RefreshStockMetricsResponse:
        return pb.RefreshStockMetricsResponse(refresh_time=timestamp(await self._refresh()))

    async def SetStockThreshold(
        self, request: pb.SetStockThresholdRequest, context: Context
    ) -> pb.SetStockThresholdResponse:
        command = reports.set_stock_threshold(request)
        return await self._change(
            request,
            lambda uow: set_stock_threshold(command, uow),
            lambda counts: reports.threshold_set(command, counts),
            pb.SetStockThresholdResponse,
            context,
            repeatable=True,
        )

    async def ListLowStock(
        self, request: pb.ListLowStockRequest, context: Context
    ) -> pb.ListLowStockResponse:
        page = reports.list_low_stock(request)
        after = after_time_and_uuid(page)

        async def look(uow: UnitOfWork) -> tuple[list[LowStock], datetime | None]:
            return await uow.low_stocks.list_low(page.size + 1, after), await uow.low_stocks.applying_since()

        found, applying = await self._transactions.read(look, one_snapshot=True)
        low_stocks, token = one_page(request, page, found, reports.low_stock_key, reports.low_stock_message)
        return pb.ListLowStockResponse(
            low_stocks=low_stocks,
            next_page_token=token,
            applying_since_time=timestamp(applying),
        )
