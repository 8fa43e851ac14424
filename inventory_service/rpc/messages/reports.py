"""Reports: computed figures, their sums, and low stock."""

from datetime import timedelta
from decimal import Decimal

from google.protobuf.duration_pb2 import Duration
from holdfast.inventory.v1 import reports_pb2 as pb

from inventory_service.application.set_stock_threshold import SetStockThreshold
from inventory_service.domain.low_stock import LowStock
from inventory_service.domain.stock_metrics import StatusSummary, StockMetrics
from inventory_service.rpc.messages.words import STATUSES, number
from servicekit.rpc.paging import Page, requested_page
from servicekit.rpc.times import timestamp
from servicekit.rpc.validation import Violations

MOST_STALENESS_SECONDS = 366 * 86_400

_Fresh = pb.GetStockMetricsRequest | pb.ListStockMetricsRequest | pb.GetInventorySummaryRequest


def get_stock_metrics(request: pb.GetStockMetricsRequest) -> tuple[str, timedelta | None]:
    """The sku, and how old the view may be. Raises FieldInvalid."""
    with Violations() as v:
        return v.name("sku", request.sku), _max_staleness(v, request)


def list_stock_metrics(request: pb.ListStockMetricsRequest) -> tuple[Page, timedelta | None]:
    """The page, and how old the view may be. Raises FieldInvalid, PageTokenMismatch."""
    with Violations() as v:
        return requested_page(v, request), _max_staleness(v, request)


def get_inventory_summary(request: pb.GetInventorySummaryRequest) -> timedelta | None:
    """How old the view may be. Raises FieldInvalid."""
    with Violations() as v:
        return _max_staleness(v, request)


def set_stock_threshold(request: pb.SetStockThresholdRequest) -> SetStockThreshold:
    """Raises FieldInvalid."""
    with Violations() as v:
        v.request_id(request.request_id)
        return SetStockThreshold(
            sku=v.optional_name("sku", request.sku),
            threshold=v.quantity("threshold", request.threshold) if request.HasField("threshold") else None,
        )


def list_low_stock(request: pb.ListLowStockRequest) -> Page:
    """Raises FieldInvalid, PageTokenMismatch."""
    with Violations() as v:
        return requested_page(v, request)


def metrics_message(metrics: StockMetrics) -> pb.StockMetrics:
    """The figures as callers see them."""
    return pb.StockMetrics(
        sku=metrics.sku,
        quantity=metrics.quantity,
        reserved_quantity=metrics.reserved_quantity,
        available_quantity=metrics.available_quantity,
        total_cost=_amount(metrics.total_cost),
        expected_profit=_amount(metrics.expected_profit),
        calculate_time=timestamp(metrics.calculate_time),
    )


def summary_message(summary: StatusSummary) -> pb.StatusSummary:
    """The sums as callers see them."""
    return pb.StatusSummary(
        status=number(STATUSES, summary.status),
        stock_count=summary.stock_count,
        quantity=summary.quantity,
        reserved_quantity=summary.reserved_quantity,
        total_cost=_amount(summary.total_cost),
        expected_profit=_amount(summary.expected_profit),
    )


def threshold_set(command: SetStockThreshold, counts: int | None) -> pb.SetStockThresholdResponse:
    """What now counts, as callers see it."""
    return pb.SetStockThresholdResponse(
        sku=command.sku or "", threshold=counts or 0, never_low=counts is None
    )


def low_stock_key(low: LowStock) -> tuple[str, ...]:
    """What the page after this stock begins behind."""
    return (low.low_since_time.isoformat(), str(low.stock_id))


def low_stock_message(low: LowStock) -> pb.LowStock:
    """The low stock as callers see it."""
    return pb.LowStock(
        sku=low.sku,
        available_quantity=low.available_quantity,
        threshold=low.threshold,
        low_since_time=timestamp(low.low_since_time),
    )


def _max_staleness(v: Violations, request: _Fresh) -> timedelta | None:
    if not request.HasField("max_staleness"):
        return None
    duration: Duration = request.max_staleness
    return timedelta(seconds=v.seconds("max_staleness", duration, least=0, most=MOST_STALENESS_SECONDS))


def _amount(amount: Decimal | None) -> str:
    return "" if amount is None else f"{amount:.2f}"
