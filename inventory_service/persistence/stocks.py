"""Stocks in `stock`, everything but the numbers' changes, which are `StockBooks`' work."""

import dataclasses
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Update, bindparam, cast, delete, literal, null, select, tuple_, update
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from inventory_service.application.stock_ports import StockFilter, StockKey
from inventory_service.domain.stock import Listing, StatusChange, Stock, StockDetails, StockStatus
from inventory_service.persistence import stock_document_statements as statements
from inventory_service.persistence import stock_documents
from inventory_service.persistence.tables import removed_stock, stock
from servicekit.persistence.engines import UtcDateTime

_ADD = insert(stock).on_conflict_do_nothing(index_elements=[stock.c.sku])
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DETAIL_COLUMNS = [field.name for field in dataclasses.fields(StockDetails) if field.name != "external_ids"]


class SqlStocks:
    """The stocks over one connection."""

    def __init__(self, connection: AsyncConnection, now: datetime) -> None:
        self._connection = connection
        self._now = now

    async def add(self, sku: str, quantity: int, status: StockStatus, details: StockDetails) -> UUID | None:
        statement = _ADD.values(self._new(sku, quantity, status, details)).returning(stock.c.id)
        stock_id: UUID | None = (await self._connection.execute(statement)).scalar()
        return stock_id

    async def add_missing(self, wanted: Mapping[str, tuple[int, StockDetails]]) -> Mapping[str, UUID]:
        query = select(stock.c.sku).where(stock.c.sku.in_(list(wanted)))
        # By sku, so that two that add the same stocks wait for each other in one order.
        missing = sorted(wanted.keys() - set((await self._connection.execute(query)).scalars()))
        if not missing:
            return {}
        rows = []
        for sku in missing:
            quantity, details = wanted[sku]
            rows.append(self._new(sku, quantity, StockStatus.IN_STOCK, details))
        added = await self._connection.execute(_ADD.returning(stock.c.sku, stock.c.id), rows)
        return {row.sku: row.id for row in added}

    async def update(self, stock_id: UUID, changes: Mapping[str, object], now: datetime) -> None:
        await self._connection.execute(_changed(stock_id, now).values(_stored(changes)))

    async def update_many(self, changes: Mapping[UUID, Mapping[str, object]], now: datetime) -> None:
        alike: dict[tuple[str, ...], list[dict[str, object]]] = defaultdict(list)
        for stock_id, values in changes.items():
            new = {f"new_{name}": value for name, value in _stored(values).items()}
            alike[tuple(sorted(values))].append(new | {"stock_id": stock_id, "now": now})
        for names, rows in alike.items():
            statement = (
                update(stock)
                .where(stock.c.id == bindparam("stock_id"))
                .values({name: bindparam(f"new_{name}", type_=stock.c[name].type) for name in names})
                .values(version=stock.c.version + 1, updated_at=bindparam("now", type_=UtcDateTime))
            )
            await self._connection.execute(statement, rows)

    async def enter_status(self, stock_id: UUID, change: StatusChange, now: datetime) -> None:
        entry = stock_documents.status_change(change)
        values = {"stock_id": stock_id, "now": now, "status": entry["to_status"], "entry": json.dumps(entry)}
        await self._connection.execute(statements.ENTER_STATUS, values)

    async def add_listing(self, stock_id: UUID, listing: Listing, now: datetime) -> None:
        entry = json.dumps(stock_documents.listing(listing))
        values = {"stock_id": stock_id, "now": now, "entry": entry}
        await self._connection.execute(statements.ADD_LISTING, values)

    async def change_listing(
        self, stock_id: UUID, listing: Listing, changes: Mapping[str, object], now: datetime
    ) -> None:
        values = {
            "stock_id": stock_id,
            "now": now,
            "platform": listing.platform,
            "listing_id": listing.listing_id,
            "changes": json.dumps(changes),
        }
        await self._connection.execute(statements.CHANGE_LISTING, values)

    async def end_listing(self, stock_id: UUID, listing: Listing, now: datetime) -> None:
        ended = {"status": "ended", "ended_at": now.isoformat()}
        await self.change_listing(stock_id, listing, ended, now)

    def _new(self, sku: str, quantity: int, status: StockStatus, details: StockDetails) -> dict[str, object]:
        return _stored(vars(details)) | {
            "sku": sku,
            "quantity": quantity,
            "reserved_quantity": 0,
            "status": status.value,
            "status_history": [stock_documents.status_change(StatusChange(None, status, self._now))],
            # Beyond all versions that a removed stock of this sku ever had: their etags must not fit this one.
            "version": (self._now - _EPOCH) // timedelta(microseconds=1),
            "created_at": self._now,
            "updated_at": self._now,
        }

    async def remove(self, stock_id: UUID, now: datetime) -> None:
        removed = (
            delete(stock).where(stock.c.id == stock_id).returning(stock.c.id, stock.c.sku).cte("removed")
        )
        kept = select(removed.c.id, removed.c.sku, literal(now, UtcDateTime))
        await self._connection.execute(
            insert(removed_stock).from_select(["stock_id", "sku", "remove_time"], kept)
        )

    async def get(self, sku: str) -> Stock | None:
        row = (await self._connection.execute(select(stock).where(stock.c.sku == sku))).one_or_none()
        return None if row is None else _stock(row)

    async def get_many(self, skus: Sequence[str]) -> Mapping[str, Stock]:
        query = select(stock).where(stock.c.sku.in_(skus))
        return {row.sku: _stock(row) for row in await self._connection.execute(query)}

    async def list_stocks(self, wanted: StockFilter, size: int, after: StockKey | None) -> list[Stock]:
        columns = stock.c
        query = select(stock)
        if wanted.sku_prefix is not None:
            # A range, which the index serves under any plan; LIKE on a parameter may not be.
            beyond = wanted.sku_prefix + "\U0010ffff"
            query = query.where(columns.sku >= wanted.sku_prefix, columns.sku < beyond)
        if wanted.product_id is not None:
            query = query.where(columns.product_id == wanted.product_id)
        if wanted.status is not None:
            query = query.where(columns.status == wanted.status.value)
        if wanted.platform is not None:
            active = [{"platform": wanted.platform.value, "status": "active"}]
            query = query.where(columns.listed_on_platforms.contains(cast(literal(active, JSONB), JSONB)))
        if wanted.available_at_most is not None:
            query = query.where(columns.quantity - columns.reserved_quantity <= wanted.available_at_most)
        if wanted.updated_since is not None:
            query = query.where(columns.updated_at >= wanted.updated_since)
        if wanted.by_sku:
            query = query.order_by(columns.sku)
            if after is not None:
                query = query.where(columns.sku > after)
        else:
            query = query.order_by(columns.created_at.desc(), columns.id.desc())
            if after is not None:
                query = query.where(tuple_(columns.created_at, columns.id) < after)
        return [_stock(row) for row in await self._connection.execute(query.limit(size))]


def _stored(details: Mapping[str, object]) -> dict[str, object]:
    # None would be stored as the JSON null, which is not the absence that queries look for.
    return {name: (value or null()) if name == "external_ids" else value for name, value in details.items()}


def _changed(stock_id: UUID, now: datetime) -> Update:
    return update(stock).where(stock.c.id == stock_id).values(version=stock.c.version + 1, updated_at=now)


def _stock(row: Any) -> Stock:
    details = {name: getattr(row, name) for name in _DETAIL_COLUMNS}
    return Stock(
        stock_id=row.id,
        sku=row.sku,
        status=StockStatus(row.status),
        quantity=row.quantity,
        reserved_quantity=row.reserved_quantity,
        details=StockDetails(**details, external_ids=stock_documents.texts(row.external_ids)),
        listings=stock_documents.listings(row.listed_on_platforms),
        status_history=stock_documents.status_history(row.status_history),
        version=row.version,
        create_time=row.created_at,
        update_time=row.updated_at,
    )
