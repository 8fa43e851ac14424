"""Databases as the legacy system left them: any number of stocks, in each of the shapes that it passed through.

Row n is the same in every database of that seed. Its status, document, money and holds follow from n in cycles
whose lengths share no divisor, so that a few hundred rows meet each combination that matters.
"""

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

STATUSES = (
    *("in_stock", "presale", "preorder", "sold", "canceled", "error"),
    *("listed_stockx", "listed_alias", "listed_local", "reserved", "in_stock"),
)
LISTINGS = (
    "NULL",
    "'null'",
    "'[]'",
    "'{}'",
    '\'["stockx", "eBay"]\'',
    "jsonb_build_object('stockx', jsonb_build_object('listing_id', 'S' || n, 'price', 99.90), 'ebay', true)",
    "jsonb_build_array(jsonb_build_object('marketplace', 'GOAT', 'id', n, 'listedAt', '2025-01-02T03:04:05', 'x', 1))",
    'to_jsonb(\'[{"platform": "alias", "listing_id": "A\' || n || \'", "status": "sold"}]\')',
    "jsonb_build_array(jsonb_build_object('platform', 'ebay', 'listing_id', 'E' || n, 'status', 'active'))",
    "to_jsonb('stockx,local'::text)",
    "jsonb_build_object('listings', jsonb_build_array(jsonb_build_object('platform', 'local', 'is_active', false)))",
    "jsonb_build_object('klekt', jsonb_build_object('shelf', 'R' || n))",
)
HISTORIES = (
    "NULL",
    "'[]'",
    "jsonb_build_array(jsonb_build_object('from', 'presale', 'to', 'in_stock', 'at', 1735786800 + n))",
    '\'["presale", "in_stock", "sold"]\'',
    "jsonb_build_object('2025-01-01T00:00:00', 'in_stock', '2025-02-01', 'sold')",
    'to_jsonb(\'[{"status": "In Stock", "timestamp": "2025-01-01T10:00:00", "user": "u\' || n || \'"}]\')',
    "jsonb_build_array(jsonb_build_object('from_status', NULL, 'to_status', 'in_stock',"
    " 'changed_at', '2025-01-01T00:00:00+00:00', 'reason', 'received'))",
)


@dataclass(frozen=True)
class Legacy:
    """What the database is like.

    `phase_2` is how many of the steps of PHASE_2 were taken, `split` how full the split tables are (0 empty, 1 partly,
    2 wholly), `zone` whether times say theirs.
    """

    stocks: int = 120
    phase_2: int = 0
    split: int = 1
    flags: bool = False
    reservations: bool = False
    zone: bool = True
    seed: int = 1


def tables(legacy: Legacy) -> list[str]:
    """The tables before Phase 2."""
    instant = "timestamptz" if legacy.zone else "timestamp"
    money = "purchase_price numeric(10,2), gross_purchase_price numeric(10,2), vat_amount numeric(10,2)"
    rates = "vat_rate numeric(5,2), profit_per_shelf_day numeric(10,2), roi_percentage numeric(5,2)"
    flags = ", listed_stockx boolean, listed_alias boolean, listed_local boolean DEFAULT false" * legacy.flags
    ours = "id uuid PRIMARY KEY DEFAULT gen_random_uuid(), stock_id uuid"
    created = [
        "CREATE SCHEMA inventory",
        "CREATE TABLE inventory.stock (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), product_id uuid NOT NULL,"
        " size_id uuid NOT NULL, supplier_id uuid, ean varchar(13), quantity integer NOT NULL DEFAULT 1,"
        f" {money}, {rates}, purchase_date {instant}, delivery_date {instant},"
        " status varchar(50) NOT NULL DEFAULT 'in_stock', detailed_status varchar(50), notes text,"
        f" external_ids jsonb, shelf_life_days integer, location varchar(50){flags},"
        f' created_at {instant} NOT NULL DEFAULT now(), updated_at {instant} NOT NULL DEFAULT now(), "Shelf" text)',
        f"CREATE TABLE inventory.stock_financial ({ours}, {money}, {rates}, created_at {instant} DEFAULT now())",
        f"CREATE TABLE inventory.stock_lifecycle ({ours}, listed_on_platforms jsonb, status_history jsonb)",
        f"CREATE TABLE inventory.stock_metrics ({ours}, available_quantity integer, reserved_quantity integer,"
        " total_cost numeric(12,2), expected_profit numeric(12,2))",
    ]
    if legacy.reservations:
        created.append(
            f"CREATE TABLE inventory.stock_reservation ({ours}, reserved_quantity integer NOT NULL,"
            f" reserved_until {instant}, reservation_reason varchar(100), status varchar(20), reserved_by varchar(100))"
        )
    return created


def rows(legacy: Legacy) -> list[str]:
    """The rows, as statements over :stocks."""
    series = f"generate_series(1, {legacy.stocks}) n"
    stock_id = f"md5('{legacy.seed} stock ' || n)::uuid"
    flags = ", listed_stockx, listed_alias, listed_local" * legacy.flags
    flagged = ", n % 5 = 0, n % 7 = 0, n % 9 = 0" * legacy.flags
    in_split = "true" if legacy.split == 2 else "n % 3 = 0" if legacy.split else "false"
    # Where the split table has the money, every second stock has it too.
    price = f"CASE WHEN NOT ({in_split}) OR n % 2 = 0 THEN 10 + n % 90 + 0.99 END"
    status = f"('{{{','.join(STATUSES)}}}'::text[])[n % {len(STATUSES)} + 1]"
    return [
        "INSERT INTO inventory.stock (id, product_id, size_id, quantity, purchase_price, gross_purchase_price,"
        f' vat_rate, status, notes, external_ids, purchase_date, created_at, updated_at, "Shelf"{flags})'
        f" SELECT {stock_id}, {stock_id}, {stock_id}, n % 13, {price}, {price}, 19, {status}, 'note ' || n,"
        " CASE WHEN n % 4 = 0 THEN jsonb_build_object('stockx', n) END, '2025-07-01 12:00', '2025-01-01 00:30',"
        f" '2025-06-01', 'R' || n{flagged} FROM {series}",
        "INSERT INTO inventory.stock_financial (stock_id, purchase_price, gross_purchase_price, vat_rate,"
        f" roi_percentage) SELECT {stock_id}, 10 + n % 90 + 0.99, 10 + n % 90 + 0.99, 19, 12.5 FROM {series}"
        f" WHERE {in_split}",
        "INSERT INTO inventory.stock_lifecycle (stock_id, listed_on_platforms, status_history)"
        f" SELECT {stock_id}, {_one_of(LISTINGS)}, {_one_of(HISTORIES)} FROM {series} WHERE {in_split}",
        "INSERT INTO inventory.stock_metrics (stock_id, available_quantity, reserved_quantity)"
        f" SELECT {stock_id}, n % 13 - (n % 13) / 4, (n % 13) / 4 FROM {series} WHERE {in_split}",
        *_reservations(series, stock_id, in_split) * legacy.reservations,
    ]


def _reservations(series: str, stock_id: str, in_split: str) -> list[str]:
    """Rows that the counter explains, rows past their time, rows that are over, and rows that nothing counts."""
    add = "INSERT INTO inventory.stock_reservation (stock_id, reserved_quantity, reserved_until, status, reserved_by)"
    return [
        f"{add} SELECT {stock_id}, 1, now() + interval '2 days', 'active', 'shop ' || n FROM {series}"
        f" WHERE ({in_split}) AND (n % 13) / 4 >= 1",
        f"{add} SELECT {stock_id}, 1, now() - interval '2 days', 'active', NULL FROM {series} WHERE n % 10 = 0",
        f"{add} SELECT {stock_id}, 1, NULL, 'released', 'x' FROM {series} WHERE n % 6 = 0",
        f"{add} SELECT {stock_id}, 2, NULL, 'Pending', '' FROM {series} WHERE NOT ({in_split}) AND n % 13 = 5",
    ]


_VIEW = (
    "SELECT s.id AS stock_id, s.quantity AS total_quantity, s.quantity - COALESCE(s.reserved_quantity, 0)"
    " AS available_quantity, s.reserved_quantity, s.gross_purchase_price AS total_cost, CASE WHEN s.roi_percentage"
    " IS NOT NULL AND s.roi_percentage > 0 THEN s.gross_purchase_price * (s.roi_percentage / 100) ELSE NULL END"
    " AS expected_profit, now() AS last_calculated_at, s.created_at, s.updated_at FROM inventory.stock s"
)
PHASE_2 = (
    *(
        f"CREATE TABLE inventory.{table}_backup AS TABLE inventory.{table}"
        for table in ("stock_financial", "stock_lifecycle", "stock_metrics")
    ),
    "ALTER TABLE inventory.stock ADD COLUMN listed_on_platforms jsonb",
    "ALTER TABLE inventory.stock ADD COLUMN status_history jsonb",
    "ALTER TABLE inventory.stock ADD COLUMN reserved_quantity integer DEFAULT 0",
    "CREATE INDEX idx_stock_reserved ON inventory.stock (id, reserved_quantity) WHERE reserved_quantity > 0",
    "CREATE INDEX idx_stock_listed_platforms ON inventory.stock USING gin (listed_on_platforms)"
    " WHERE listed_on_platforms IS NOT NULL",
    "CREATE INDEX idx_stock_status_history ON inventory.stock USING gin (status_history)"
    " WHERE status_history IS NOT NULL",
    "UPDATE inventory.stock s SET listed_on_platforms = l.listed_on_platforms, status_history = l.status_history"
    " FROM inventory.stock_lifecycle l WHERE l.stock_id = s.id",
    "UPDATE inventory.stock s SET reserved_quantity = m.reserved_quantity FROM inventory.stock_metrics m"
    " WHERE m.stock_id = s.id",
    f"CREATE MATERIALIZED VIEW inventory.stock_metrics_view AS {_VIEW}",
    "CREATE UNIQUE INDEX idx_stock_metrics_view_stock_id ON inventory.stock_metrics_view (stock_id)",
    "CREATE INDEX idx_stock_metrics_view_available ON inventory.stock_metrics_view (available_quantity)"
    " WHERE available_quantity > 0",
    "CREATE FUNCTION inventory.refresh_stock_metrics() RETURNS void LANGUAGE plpgsql AS $$ BEGIN"
    " REFRESH MATERIALIZED VIEW CONCURRENTLY inventory.stock_metrics_view; END $$",
)
"""The steps of the old script, in its order."""


async def lay_out(engine: AsyncEngine, legacy: Legacy) -> None:
    """Makes such a database of an empty one."""
    async with engine.begin() as connection:
        for statement in (*tables(legacy), *rows(legacy), *PHASE_2[: legacy.phase_2]):
            await connection.exec_driver_sql(statement)


_NOT_OF_POSTGRES = "!~ '^(pg_|information_)'"


async def state(engine: AsyncEngine) -> dict[str, str]:
    """Everything there is, catalogue and rows: equal before and after means that nothing changed."""
    async with engine.connect() as connection:
        names = await connection.execute(
            text("SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' ORDER BY 1")
        )
        found = {"schemas": " ".join(names.scalars())}
        tables = f"SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname {_NOT_OF_POSTGRES}"
        for table in (await connection.execute(text(tables))).scalars().all():
            rows = f"SELECT md5(string_agg(t::text, ';' ORDER BY t::text)) FROM {table} t"
            found[table] = str((await connection.execute(text(rows))).scalar())
        return found | {name: await _listed(connection, query) for name, query in _CATALOGUE.items()}


_CATALOGUE = {
    "columns": "SELECT concat_ws(' ', attrelid::regclass, attname, format_type(atttypid, atttypmod), attnotnull,"
    " (SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef d WHERE (d.adrelid, d.adnum) = (a.attrelid, a.attnum)))"
    " FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid WHERE relkind IN ('r', 'm', 'p') AND attnum > 0"
    " AND NOT attisdropped AND relnamespace::regnamespace::text !~ '^(pg_|information_)'",
    "indexes": "SELECT indexdef FROM pg_indexes WHERE schemaname !~ '^pg_'",
    "constraints": "SELECT conname || pg_get_constraintdef(oid) FROM pg_constraint"
    " WHERE connamespace::regnamespace::text !~ '^(pg_|information_)'",
    "functions": "SELECT prosrc FROM pg_proc WHERE pronamespace::regnamespace::text !~ '^(pg_|information_)'",
    "triggers": "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal",
}


async def _listed(connection: AsyncConnection, query: str) -> str:
    return "\n".join(sorted((await connection.execute(text(query))).scalars()))


def _one_of(choices: tuple[str, ...]) -> str:
    whens = " ".join(f"WHEN {number} THEN {choice}" for number, choice in enumerate(choices))
    return f"CASE (n / 3) % {len(choices)} {whens} END::jsonb"
