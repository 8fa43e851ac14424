"""The one transaction that begins an adoption: notes what was there, and mends columns."""

from collections import defaultdict

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from inventory_service.adoption import journal, snapshot
from inventory_service.adoption.expectations import VIEW
from inventory_service.adoption.shape import Shape

_STOCK_KEY = text("ALTER TABLE inventory.adoption_stock ADD PRIMARY KEY (id)")
_CODES = text("CREATE TABLE inventory.adoption_sku AS SELECT id, sku FROM pg_temp.adoption_sku_map")
_CODE_KEY = text("ALTER TABLE inventory.adoption_sku ADD PRIMARY KEY (id)")
_DROP_VIEW = text("DROP MATERIALIZED VIEW inventory.stock_metrics_view")
_VIEW = text("SELECT pg_get_viewdef(to_regclass(:name))")
_INDEXES = text(
    "SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = to_regclass(:name) ORDER BY indexrelid"
)


async def begin(
    connection: AsyncConnection,
    shape: Shape,
    revision: str,
    zone: str,
    backup: str | None,
    *,
    with_skus: bool,
) -> None:
    """Everything or nothing; the caller commits. After it the adoption can be finished from the database alone."""
    found = await connection.execute(text(snapshot.totals(shape.sources, zone)))
    totals = {row.name: row.value for row in found}
    await connection.execute(text(snapshot.keep_stocks(shape.sources, zone)))
    await connection.execute(_STOCK_KEY)
    if with_skus:
        await connection.execute(_CODES)
        await connection.execute(_CODE_KEY)
    await _mend(connection, shape)
    await journal.begin(
        connection,
        shape=shape.kind.value,
        revision=revision,
        time_zone=zone,
        backup=backup,
        kept=list(snapshot.kept_columns(shape.sources)),
        totals=totals,
    )


async def _mend(connection: AsyncConnection, shape: Shape) -> None:
    actions = defaultdict(list)
    for mend in shape.mends:
        actions[mend.table].append(f'ALTER COLUMN "{mend.subject}" {mend.action}')
    view = (await connection.execute(_VIEW, {"name": f"inventory.{VIEW}"})).scalar()
    if not any(mend.table == "stock" and mend.changes_type for mend in shape.mends):
        view = None
    indexes = (await connection.execute(_INDEXES, {"name": f"inventory.{VIEW}"})).scalars().all()
    if view:
        # It reads from columns whose type changes.
        await connection.execute(_DROP_VIEW)
    for table, changes in actions.items():
        if changes:
            # The engine's own words: a colon in them is none of a parameter.
            alter = f"ALTER TABLE inventory.{table} {', '.join(changes)}"
            await connection.exec_driver_sql(alter)
    if view:
        create = f"CREATE MATERIALIZED VIEW inventory.{VIEW} AS {view}"
        await connection.exec_driver_sql(create)
        for index in indexes:
            await connection.exec_driver_sql(index)
