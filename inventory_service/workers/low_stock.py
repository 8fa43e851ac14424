"""Announces new alerts of low stock in the log, each at least once, and applies a new default to all stocks."""

import structlog

from inventory_service.application.ports import UnitOfWork
from servicekit.persistence.transactions import Transactions
from servicekit.polling import Poller

NEWS = 100
STOCKS = 5000

log = structlog.get_logger("low_stock")


def low_stock(transactions: Transactions[UnitOfWork], idle_seconds: float) -> Poller:
    """A poller that looks at least every `idle_seconds`; safe with any number of replicas."""

    async def look(uow: UnitOfWork) -> tuple[bool, bool]:
        return await uow.low_stocks.has_news(), await uow.low_stocks.applying_since() is not None

    async def announce(uow: UnitOfWork) -> bool:
        news = await uow.low_stocks.take_news(NEWS)
        # Before the commit: a process that dies between the two says it again rather than never.
        for low in news:
            log.warning(
                "stock is low",
                sku=low.sku,
                available_quantity=low.available_quantity,
                threshold=low.threshold,
                low_since_time=low.low_since_time.isoformat(),
            )
        forgotten = await uow.low_stocks.forget_ended(NEWS)
        return NEWS in (len(news), forgotten)

    async def step() -> bool:
        news, applying = await transactions.read(look)
        more = news and await transactions.run(announce, name="announce", repeatable=True)
        applying = applying and await transactions.run(
            lambda uow: uow.low_stocks.apply_default(STOCKS), name="apply_threshold", repeatable=True
        )
        return more or applying

    return Poller("low_stock", step, idle_seconds=idle_seconds)
