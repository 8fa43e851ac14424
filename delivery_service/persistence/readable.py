"""Which rows can be read.

Others write codes that nobody knows. Such a row is left out of lists and counts, refused by name where it is asked
for, and found by CheckConsistency; it never stands in the way of others.
"""

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Table, and_, func

from delivery_service.domain.errors import OrderUnreadable, PackageUnreadable
from delivery_service.domain.workflow import PackageState
from delivery_service.persistence.codes import (
    ORDER_STATUSES,
    STATE_CODES,
    STATES,
    STOCK_STATES,
    WORKFLOWS,
)
from delivery_service.persistence.tables import orders, packages

Codes = Mapping[str, Collection[int | None]]

PACKAGE_CODES: Codes = {
    "prepare_status": list(STATES),
    "delivery_type": sorted({by for by, _ in WORKFLOWS}),
    "shipping_type": sorted({to for _, to in WORKFLOWS}),
    "type": (0, 1),
    "stock_state": list(STOCK_STATES),
}
COUNTED = ("prepare_status", "delivery_type", "shipping_type")
ORDER_CODES: Codes = {"order_status": list(ORDER_STATUSES)}


def _readable(table: Table, known: Codes) -> ColumnElement[bool]:
    # Nearly every row can be read: inside a function no column leads the engine to an index for that. An unwritten
    # status is PENDING; that code is none of any other column.
    unwritten = STATE_CODES[PackageState.PENDING]
    return and_(
        *(
            func.coalesce(table.c[name], unwritten).in_([code for code in codes if code is not None])
            for name, codes in known.items()
        )
    )


readable_package = _readable(packages, PACKAGE_CODES)
counted_package = _readable(packages, {name: PACKAGE_CODES[name] for name in COUNTED})
"""Readable as far as counts by workflow and state look, which an index answers."""
readable_order = _readable(orders, ORDER_CODES)


def unknown_code(row: Any, known: Codes) -> tuple[str, str] | None:
    """The first of the row's columns with a code that nobody knows, and that code; None where it can be read."""
    for name, codes in known.items():
        if name in row._fields and getattr(row, name) not in codes:
            return name, str(getattr(row, name))
    return None


def require_package(row: Any) -> None:
    """Raises PackageUnreadable."""
    if unknown := unknown_code(row, PACKAGE_CODES):
        raise PackageUnreadable(row.prepare_sn, *unknown)


def require_order(row: Any) -> None:
    """Raises OrderUnreadable."""
    if unknown := unknown_code(row, ORDER_CODES):
        raise OrderUnreadable(row.id, *unknown)
