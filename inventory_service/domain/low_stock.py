"""Stocks that are running out, and when they count as such.

The judgement itself is the schema's, so that no change of a stock goes unjudged, whoever makes it.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True)
class LowStock:
    """A stock that is low since a time, and the threshold that counts for it."""

    stock_id: UUID
    sku: str
    available_quantity: int
    threshold: int
    low_since_time: datetime
