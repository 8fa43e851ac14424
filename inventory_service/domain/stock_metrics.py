"""Computed figures: of one stock, and of all stocks in a status."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from inventory_service.domain.stock import StockStatus


@dataclass(frozen=True)
class StockMetrics:
    """The figures of one stock. `total_cost` is the gross price of the row, not times its quantity."""

    sku: str
    quantity: int
    reserved_quantity: int
    available_quantity: int
    total_cost: Decimal | None
    expected_profit: Decimal | None
    calculate_time: datetime


@dataclass(frozen=True)
class StatusSummary:
    """The sums of the stocks in one status; both amounts are Σ quantity × the amount of one unit."""

    status: StockStatus
    stock_count: int
    quantity: int
    reserved_quantity: int
    total_cost: Decimal
    expected_profit: Decimal
