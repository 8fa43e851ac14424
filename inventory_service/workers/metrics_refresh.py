"""Keeps the view of computed figures fresh: one refresh at a time, whoever asks for it."""

import asyncio
import time
from datetime import datetime, timedelta
from functools import partial

import structlog

from inventory_service.application.ports import UnitOfWork
from inventory_service.application.refresh_stock_metrics import Due, refresh_stock_metrics
from servicekit.errors import Draining
from servicekit.persistence.transactions import Transactions
from servicekit.polling import Poller

LOOK_SECONDS = 30.0
"""Pause between looks whether the view is due, or less where it is due more often."""
SCHEDULED_PATIENCE = 2
"""The service waits for so many intervals where the database refreshes by itself, then does it all the same."""
TURN_SECONDS = 0.2

log = structlog.get_logger("metrics_refresh")


class MetricsRefresher:
    """Refreshes the view over a connection of its own, so that a long refresh takes none from the calls."""

    def __init__(self, transactions: Transactions[UnitOfWork]) -> None:
        self._transactions = transactions
        self._under_way: asyncio.Task[datetime] | None = None
        self._stopped = False

    async def refresh(self, due: Due | None = None) -> datetime:
        """Refreshes the view, or joins the refresh under way; the time of the snapshot that it then shows.

        It is due unless somebody refreshed it since now, or as `due` judges in the transaction that would refresh it.
        The refresh goes on when the caller leaves. Raises Draining once stopped, and what Transactions.run raises.
        """
        if self._stopped:
            raise Draining
        if self._under_way is None or self._under_way.done():
            self._under_way = asyncio.create_task(self._refresh(due))
            # Retrieved here too, so that the failure of one whose callers have left is no "never retrieved".
            self._under_way.add_done_callback(lambda task: task.cancelled() or task.exception())
        try:
            return await asyncio.shield(self._under_way)
        except asyncio.CancelledError:
            if self._stopped and self._under_way.cancelled():
                raise Draining from None
            raise

    def stop(self) -> None:
        """Cuts the refresh under way short; the view stays as it was."""
        self._stopped = True
        if self._under_way is not None:
            self._under_way.cancel()

    async def _refresh(self, due: Due | None) -> datetime:
        began = time.monotonic()
        judge = due or await self._not_since_now()
        was_due = False

        async def judged(uow: UnitOfWork) -> bool:
            nonlocal was_due
            was_due = await judge(uow)
            return was_due

        while True:
            refreshed = await self._transactions.run(
                partial(refresh_stock_metrics, judged), name="refresh", repeatable=True
            )
            if refreshed is not None:
                break
            # Another replica is at it; a wait inside a transaction would make its time older than its snapshot.
            await asyncio.sleep(TURN_SECONDS)
        if was_due:
            log.info(
                "metrics are fresh",
                refresh_time=refreshed.isoformat(),
                seconds=round(time.monotonic() - began, 3),
            )
        return refreshed

    async def _not_since_now(self) -> Due:
        seen = await self._transactions.read(lambda uow: uow.metrics.refresh_time())

        async def due(uow: UnitOfWork) -> bool:
            current = await uow.metrics.refresh_time()
            return current is None or current == seen

        return due


def metrics_refresh(
    transactions: Transactions[UnitOfWork], refresher: MetricsRefresher, every_seconds: float
) -> Poller:
    """A poller that refreshes the view once it is `every_seconds` old; safe with any number of replicas."""
    interval = timedelta(seconds=every_seconds)

    async def due(uow: UnitOfWork) -> bool:
        refreshed = await uow.metrics.refresh_time()
        if refreshed is None:
            return True
        patience = SCHEDULED_PATIENCE if await uow.metrics.scheduled() else 1
        return uow.now - refreshed >= interval * patience

    async def step() -> bool:
        if await transactions.read(due):
            await refresher.refresh(due)
        return False

    return Poller("metrics_refresh", step, idle_seconds=min(LOOK_SECONDS, every_seconds / 4))
