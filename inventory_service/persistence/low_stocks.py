"""Thresholds and alerts of low stock. The schema judges, by trigger, whatever changes a stock."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, exists, or_, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from inventory_service.domain.low_stock import LowStock
from inventory_service.domain.stock import SELLABLE
from inventory_service.persistence.locks import Lock, wait_for_lock
from inventory_service.persistence.tables import stock, stock_alert, stock_threshold, stock_threshold_default

_JUDGE = text("SELECT inventory.judge_low_stock(CAST(:stock_ids AS uuid[]))")

_APPLYING = (
    select(stock_threshold_default.c.applied_to)
    .where(stock_threshold_default.c.applied_to.is_not(None))
    .with_for_update(skip_locked=True)
)

# Read without locks: what changes a stock after this look judges it by the new default itself.
_DIFFERING = text("""
    WITH part AS (
        SELECT id, status, quantity - reserved_quantity AS available_quantity
        FROM inventory.stock WHERE id > :after ORDER BY id LIMIT :size
    )
    SELECT (SELECT count(*) FROM part) AS seen, (SELECT id FROM part ORDER BY id DESC LIMIT 1) AS last, ARRAY(
        SELECT part.id FROM part
        JOIN inventory.stock_threshold_default everywhere ON true
        LEFT JOIN inventory.stock_alert alert ON alert.stock_id = part.id AND alert.end_time IS NULL
        WHERE NOT EXISTS (SELECT FROM inventory.stock_threshold own WHERE own.stock_id = part.id)
        AND CASE WHEN alert.alert_id IS NULL
            THEN part.available_quantity <= everywhere.threshold AND part.status = ANY (CAST(:sellable AS text[]))
            ELSE alert.threshold IS DISTINCT FROM everywhere.threshold END
    ) AS differing
""")


class SqlLowStocks:
    """Thresholds and alerts over one connection."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def lock_stock(self, sku: str) -> UUID | None:
        query = select(stock.c.id).where(stock.c.sku == sku).with_for_update()
        stock_id: UUID | None = (await self._connection.execute(query)).scalar()
        return stock_id

    async def set_threshold(self, stock_id: UUID, threshold: int | None) -> None:
        if threshold is None:
            own = delete(stock_threshold).where(stock_threshold.c.stock_id == stock_id)
            await self._connection.execute(own)
        else:
            given = insert(stock_threshold).values(stock_id=stock_id, threshold=threshold)
            await self._connection.execute(
                given.on_conflict_do_update(index_elements=["stock_id"], set_={"threshold": threshold})
            )
        await self._judge([stock_id])

    async def set_default(self, threshold: int | None, now: datetime) -> None:
        values = {"threshold": threshold, "change_time": now, "applied_to": UUID(int=0)}
        given = insert(stock_threshold_default).values(only_row=True, **values)
        await self._connection.execute(given.on_conflict_do_update(index_elements=["only_row"], set_=values))
        # Judgements by the old default are waited for; those that come later wait for the new one.
        await wait_for_lock(self._connection, Lock.LOW_STOCK)

    async def get_default(self) -> int | None:
        query = select(stock_threshold_default.c.threshold)
        threshold: int | None = (await self._connection.execute(query)).scalar()
        return threshold

    async def applying_since(self) -> datetime | None:
        applying = stock_threshold_default.c.applied_to.is_not(None)
        query = select(stock_threshold_default.c.change_time).where(applying)
        time: datetime | None = (await self._connection.execute(query)).scalar()
        return time

    async def apply_default(self, size: int) -> bool:
        after = (await self._connection.execute(_APPLYING)).scalar()
        if after is None:
            return False
        look = {"after": after, "size": size, "sellable": [status.value for status in SELLABLE]}
        part = (await self._connection.execute(_DIFFERING, look)).one()
        if part.differing:
            rows = select(stock.c.id).where(stock.c.id.in_(part.differing))
            await self._connection.execute(rows.order_by(stock.c.id).with_for_update())
            await self._judge(part.differing)
        more = part.seen == size
        await self._connection.execute(
            update(stock_threshold_default).values(applied_to=part.last if more else None)
        )
        return bool(more)

    async def list_low(self, size: int, after: tuple[datetime, UUID] | None) -> list[LowStock]:
        key = (stock_alert.c.low_since_time, stock_alert.c.stock_id)
        query = (
            select(
                stock.c.id,
                stock.c.sku,
                (stock.c.quantity - stock.c.reserved_quantity).label("available_quantity"),
                stock_alert.c.threshold,
                stock_alert.c.low_since_time,
            )
            .join(stock, stock.c.id == stock_alert.c.stock_id)
            .where(stock_alert.c.end_time.is_(None))
            .order_by(*key)
            .limit(size)
        )
        if after is not None:
            query = query.where(tuple_(*key) > after)
        return [LowStock(*row) for row in await self._connection.execute(query)]

    async def has_news(self) -> bool:
        news = exists().where(or_(~stock_alert.c.announced, stock_alert.c.end_time.is_not(None)))
        return bool((await self._connection.execute(select(news))).scalar())

    async def take_news(self, most: int) -> Sequence[LowStock]:
        alert = stock_alert.c
        waiting = select(alert.alert_id).where(~alert.announced).order_by(alert.alert_id).limit(most)
        taken = (
            update(stock_alert)
            .where(alert.alert_id.in_(waiting.with_for_update(skip_locked=True).scalar_subquery()))
            .where(stock.c.id == alert.stock_id)
            .values(announced=True)
            .returning(
                alert.stock_id, stock.c.sku, alert.available_quantity, alert.threshold, alert.low_since_time
            )
        )
        news = [LowStock(*row) for row in await self._connection.execute(taken)]
        return sorted(news, key=lambda low: low.low_since_time)

    async def forget_ended(self, most: int) -> int:
        alert = stock_alert.c
        ended = (
            select(alert.alert_id)
            .where(alert.announced, alert.end_time.is_not(None))
            .order_by(alert.alert_id)
            .limit(most)
            .with_for_update(skip_locked=True)
        )
        forgotten = delete(stock_alert).where(alert.alert_id.in_(ended.scalar_subquery()))
        return (await self._connection.execute(forgotten)).rowcount

    async def _judge(self, stock_ids: Sequence[UUID]) -> None:
        await self._connection.execute(_JUDGE, {"stock_ids": list(stock_ids)})
