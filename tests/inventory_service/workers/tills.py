"""A group commit of its own over a real Postgres, and wishes for it in short words."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from inventory_service.application.answer_wishes import Answer, Recorded, Wish
from inventory_service.domain.commands import (
    Actor,
    ReservationCommand,
    ReserveStock,
)
from inventory_service.domain.reservation import Reservation, ReservationState
from inventory_service.persistence.unit_of_work import SqlUnitOfWork
from inventory_service.workers.group_commit import MOST_SECONDS, GroupCommit
from inventory_service.workers.left_overs import LOCK_SECONDS, LeftOvers
from servicekit.persistence.engines import create_engine
from servicekit.persistence.requests import RequestKey
from servicekit.persistence.transactions import Transactions, own_time
from servicekit.tasks import Tasks
from tests.inventory_service.client import Inventory

SHOP = Actor("merchant:7")


class Till:
    """A group commit, and how many wishes each of its batches had."""

    def __init__(
        self, engine: AsyncEngine, pool: AsyncEngine, most_seconds: float = MOST_SECONDS, **bounds: Any
    ) -> None:
        self.batches: list[int] = []
        self.tasks = Tasks()
        self.left_overs = LeftOvers(
            Transactions(pool, SqlUnitOfWork, time=own_time, most_seconds=most_seconds), self.tasks
        )
        self.group_commit = GroupCommit(
            Transactions(engine, self._counted, at_once=1, time=own_time, most_seconds=most_seconds),
            self.left_overs,
            self.tasks,
            **bounds,
        )

    def _counted(self, connection: AsyncConnection, now: datetime) -> SqlUnitOfWork:
        uow = SqlUnitOfWork(connection, now)
        opened = uow.books.open

        async def counted(commands: Sequence[ReservationCommand], *, skip_locked: bool = False) -> Any:
            self.batches.append(len(commands))
            return await opened(commands, skip_locked=skip_locked)

        uow.books.open = counted  # type: ignore[method-assign, assignment]
        return uow

    def begin(self, *wishes: Wish) -> list[asyncio.Task[Answer]]:
        """Callers that wait."""
        return [asyncio.create_task(self.group_commit.submit(wish)) for wish in wishes]

    async def answers(self, *wishes: Wish) -> list[Answer | BaseException]:
        """What each caller gets."""
        return await asyncio.gather(*self.begin(*wishes), return_exceptions=True)


@asynccontextmanager
async def tilling(
    inventory: Inventory,
    url: str,
    lock_seconds: float = 0.5,
    most_seconds: float = MOST_SECONDS,
    **bounds: Any,
) -> AsyncIterator[Till]:
    for sku in ("A", "B"):
        await inventory.create(sku, 1000)
    engine = create_engine(url, pool_size=1, lock_seconds=lock_seconds, by_index=True, pre_ping=False)
    pool = create_engine(url, pool_size=5, lock_seconds=LOCK_SECONDS, by_index=True, pre_ping=False)
    till = Till(engine, pool, most_seconds, **bounds)
    try:
        yield till
    finally:
        await till.tasks.drain(10)
        await engine.dispose()
        await pool.dispose()


@asynccontextmanager
async def locked(inventory: Inventory, sku: str) -> AsyncIterator[None]:
    """Somebody else has the row of a stock in hand."""
    async with inventory.engine.begin() as connection:
        await connection.execute(
            text("SELECT FROM inventory.stock WHERE sku = :sku FOR UPDATE"), {"sku": sku}
        )
        yield


def reserve(reservation_id: str, sku: str = "A", units: int = 1, request: RequestKey | None = None) -> Wish:
    command = ReserveStock(reservation_id, "order:1", {sku: units}, None, SHOP)
    recorded = Recorded(request, lambda held: held.reservation_id.encode()) if request else None
    return Wish(command, recorded)


def key(request_id: str, digest: str = "d") -> RequestKey:
    return RequestKey("merchant:7", "/ReserveStock", request_id, digest * 64)


def states(answers: Sequence[object]) -> list[ReservationState]:
    assert all(isinstance(answer, Reservation) for answer in answers), answers
    return [answer.state for answer in answers if isinstance(answer, Reservation)]
