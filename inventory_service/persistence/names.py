"""The names of stocks in what outlives them: lines of reservations and movements."""

from uuid import UUID

from sqlalchemy import ColumnElement, FromClause, Table, func, select, union_all
from sqlalchemy.sql.selectable import CompoundSelect

from inventory_service.persistence.tables import removed_stock, stock

NAME: ColumnElement[str] = func.coalesce(stock.c.sku, removed_stock.c.sku)
"""The sku of a row of `with_names`."""


def with_names(rows: Table, stock_id: ColumnElement[UUID]) -> FromClause:
    """The rows, each beside its stock, be it there or removed."""
    return rows.outerjoin(stock, stock.c.id == stock_id).outerjoin(
        removed_stock, removed_stock.c.stock_id == stock_id
    )


def ids_named(sku: str) -> CompoundSelect[tuple[UUID]]:
    """The stock that bears a sku, and those that did."""
    return union_all(
        select(stock.c.id).where(stock.c.sku == sku),
        select(removed_stock.c.stock_id).where(removed_stock.c.sku == sku),
    )
