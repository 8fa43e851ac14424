"""The partitions of `stock_movement`: one a month, and the default one that takes what has no month's.

What needs a lock that others would queue behind waits for it in turns of 200 ms.
"""

import asyncio
import random
import re
from collections.abc import Mapping

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from inventory_service.domain.ledger import LedgerMonth
from inventory_service.persistence.locks import Lock, try_lock
from inventory_service.persistence.tables import stock_movement
from servicekit.persistence.conflicts import lock_wait_ended

TRIES = 20
LOCK_WAIT = "200ms"
# Long enough for the engine to end an automatic vacuum that is in the way, which it does after a second.
CLOSE_WAIT = "3s"

LEDGER_STAYS = text("LOCK TABLE ONLY inventory.stock_movement IN ACCESS SHARE MODE")
"""Before a snapshot: a month that left after it was taken would be neither in the ledger nor in its balances."""

_ATTACHED = text("""
    SELECT partition.relname AS name, pg_get_expr(partition.relpartbound, partition.oid) AS bounds
    FROM pg_inherits JOIN pg_class partition ON partition.oid = inhrelid
    WHERE inhparent = 'inventory.stock_movement'::regclass
""")
_STRAYS = text("""
    SELECT date_trunc('month', create_time, 'UTC') AS month, count(*) AS entries
    FROM ONLY inventory.stock_movement_default GROUP BY 1 ORDER BY 1
""")
_LIMITS = text("""
    SELECT set_config('lock_timeout', :wait, true), set_config('statement_timeout',
        CASE current_setting('statement_timeout') WHEN '0' THEN '0' ELSE '60s' END, true)
""")
# Less than others wait for a lock: where the process stands still before its commit, the engine rolls back.
_COMMIT_AT_ONCE = text("SELECT set_config('idle_in_transaction_session_timeout', '1500ms', true)")
_QUOTED = text("SELECT format(CAST(:template AS text), VARIADIC CAST(:values AS text[]))")
_THERE = text("SELECT to_regclass(format('inventory.%I', CAST(:table AS text))) IS NOT NULL")

# %1$I is the month's table, %2$I that of a detached month, %3$L and %4$L the month's bounds, %5$s the
# ledger's columns.
_MAKE = """
    CREATE TABLE inventory.%1$I
    (LIKE inventory.stock_movement INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES)
"""
# Who attaches a table that proves its bounds itself spares the engine to read it under lock.
_BOUND = """
    ALTER TABLE inventory.%1$I ADD CONSTRAINT ck_bounds CHECK (create_time >= %3$L AND create_time < %4$L)
"""
_CLOSE_DEFAULT = "LOCK TABLE inventory.stock_movement_default IN EXCLUSIVE MODE"
_COLUMNS = ", ".join(stock_movement.c.keys())
_TAKE_STRAYS = """
    WITH stray AS (
        DELETE FROM ONLY inventory.stock_movement_default
        WHERE create_time >= %3$L AND create_time < %4$L RETURNING %5$s
    )
    INSERT INTO inventory.%1$I (%5$s) SELECT %5$s FROM stray
"""
_ATTACH = """
    ALTER TABLE inventory.stock_movement ATTACH PARTITION inventory.%1$I FOR VALUES FROM (%3$L) TO (%4$L)
"""
_UNBOUND = "ALTER TABLE inventory.%1$I DROP CONSTRAINT ck_bounds"
_CLOSE = "LOCK TABLE inventory.%1$I IN SHARE MODE"
_DETACH = "ALTER TABLE inventory.stock_movement DETACH PARTITION inventory.%1$I"
_KEEP = "ALTER TABLE inventory.%1$I RENAME TO %2$I"
_TAKE_BACK = "ALTER TABLE inventory.%2$I RENAME TO %1$I"
_DROP_KEPT = "DROP TABLE inventory.%2$I"


class SqlLedgerPartitions:
    """The partitions over one connection; nothing is seen by others before its transaction commits."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def attached(self) -> list[LedgerMonth]:
        bounds = {row.name: row.bounds for row in await self._connection.execute(_ATTACHED)}
        return sorted(
            month for name in bounds if (month := _month_of(name)) and bounds[name] == _bounds(month)
        )

    async def strays(self) -> Mapping[LedgerMonth, int]:
        """Those of the default partition."""
        rows = await self._connection.execute(_STRAYS)
        return {LedgerMonth.of(row.month): row.entries for row in rows}

    async def begin_change(self) -> bool:
        return await try_lock(self._connection, Lock.PARTITIONS)

    async def is_named(self, month: LedgerMonth) -> bool:
        return await self._is_there(table_of(month))

    async def make(self, month: LedgerMonth) -> None:
        """With all its indexes."""
        await self._change(month, _MAKE)

    async def attach(self, month: LedgerMonth) -> None:
        """Meanwhile the default partition is closed to writers, and to readers from the last instant to the end of
        the transaction: commit at once, as after `detach`.
        """
        await self._change(month, _BOUND)
        await self._connection.execute(_COMMIT_AT_ONCE)
        await self._change(month, _CLOSE_DEFAULT, _TAKE_STRAYS, _ATTACH, _UNBOUND)

    async def close(self, month: LedgerMonth) -> None:
        await self._change(month, _CLOSE, wait=CLOSE_WAIT)

    async def detach(self, month: LedgerMonth) -> None:
        """The table stays as stock_movement_archived_….

        From here to the end of the transaction nobody reads or writes the ledger: commit at once. After 1.5 s
        without a commit the engine ends the session, and the month stays.
        """
        await self._connection.execute(_COMMIT_AT_ONCE)
        await self._change(month, _DETACH, _KEEP)

    async def keeps(self, month: LedgerMonth) -> bool:
        return await self._is_there(kept_table_of(month))

    async def take_back(self, month: LedgerMonth) -> None:
        await self._change(month, _TAKE_BACK)

    async def drop_kept(self, month: LedgerMonth) -> None:
        await self._change(month, _DROP_KEPT)

    async def _is_there(self, table: str) -> bool:
        return bool((await self._connection.execute(_THERE, {"table": table})).scalar())

    async def _change(self, month: LedgerMonth, *templates: str, wait: str = LOCK_WAIT) -> None:
        statements = [await self._quoted(template, month) for template in templates]
        await self._connection.execute(_LIMITS, {"wait": wait})
        for attempt in range(TRIES):
            try:
                # All or none: between two tries no lock is kept that others wait for.
                async with self._connection.begin_nested():
                    for statement in statements:
                        await self._connection.exec_driver_sql(statement)
            except DBAPIError as error:
                if not lock_wait_ended(error) or attempt == TRIES - 1:
                    raise
                await asyncio.sleep(random.uniform(0.1, 0.4))
            else:
                return

    async def _quoted(self, template: str, month: LedgerMonth) -> str:
        start, end = _instant(month), _instant(month.plus(1))
        values = [table_of(month), kept_table_of(month), start, end, _COLUMNS]
        quoted = await self._connection.execute(_QUOTED, {"template": template, "values": values})
        return str(quoted.scalar_one())


def table_of(month: LedgerMonth) -> str:
    """The name of the month's table."""
    return f"stock_movement_{month.year:04}_{month.number:02}"


def kept_table_of(month: LedgerMonth) -> str:
    """The name of its table once the month is detached."""
    return f"stock_movement_archived_{month.year:04}_{month.number:02}"


def _month_of(table: str) -> LedgerMonth | None:
    found = re.fullmatch(r"stock_movement_(\d{4})_(\d\d)", table)
    return LedgerMonth(int(found[1]), int(found[2])) if found else None


def _bounds(month: LedgerMonth) -> str:
    return f"FOR VALUES FROM ('{_instant(month)}') TO ('{_instant(month.plus(1))}')"


def _instant(month: LedgerMonth) -> str:
    return f"{month}-01 00:00:00+00"
