"""Which status of a stock may follow upon which."""

from collections.abc import Mapping

from inventory_service.domain.stock import StockStatus

_IN_STOCK, _PRESALE, _PREORDER = StockStatus.IN_STOCK, StockStatus.PRESALE, StockStatus.PREORDER
_SOLD, _CANCELED, _ERROR = StockStatus.SOLD, StockStatus.CANCELED, StockStatus.ERROR

TERMINAL = frozenset({_SOLD, _CANCELED})
"""The statuses that nothing follows, and that a stock enters only while nobody holds any of it."""

FOLLOWING: Mapping[StockStatus, tuple[StockStatus, ...]] = {
    _IN_STOCK: (_PRESALE, _SOLD, _CANCELED, _ERROR),
    _PRESALE: (_IN_STOCK, _PREORDER, _SOLD, _CANCELED, _ERROR),
    _PREORDER: (_PRESALE, _SOLD, _CANCELED, _ERROR),
    _ERROR: (_IN_STOCK, _SOLD, _CANCELED),
    _SOLD: (),
    _CANCELED: (),
}
"""The statuses that may follow, by the present one."""
