"""Name stocks by sku and guard their numbers.

Why: delivery and everybody else name a stock by its sku; the schema is the last defence against overselling.
Previous release: it may go on reading and inserting (a trigger gives its rows their id as sku); it may no longer
write the statuses that begin with listed_ and reserved, nor hold more than there is.
Locks: each step takes its lock for an instant; rows are rewritten 5,000 at a time; the unique index is built
CONCURRENTLY and checks are added NOT VALID, then validated beside writers.

An unknown status, a row that breaks 0 <= reserved_quantity <= quantity and a document of no known shape stop the
revision by name. An adopted database says in `adoption` which zone its naive times are of, and in `adoption_sku`
which codes its stocks have.
"""

import json
import logging
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from alembic import op
from alembic.util import load_python_file

revision = "0003"
down_revision = "0002"

log = logging.getLogger("migrations.inventory.0003")

BATCH = 5000
DOCUMENTS = 1000

documents: Any = load_python_file(Path(__file__).parents[1], "legacy_documents.py")

SKU_DEFAULT = """
CREATE OR REPLACE FUNCTION inventory.stock_sku_default() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.sku := COALESCE(NEW.sku, NEW.id::text);
    RETURN NEW;
END
$$
"""

LEGACY_STATUSES = {f"listed_{platform}": platform for platform in documents.PLATFORMS} | {"reserved": None}

# Listed and reserved are not statuses: the one becomes a listing, the other is a hold. Each row keeps a note of it.
TRANSLATE_STATUS = """
UPDATE inventory.stock s SET
    status = 'in_stock',
    listed_on_platforms = CASE
        WHEN CAST(:platform AS text) IS NULL OR s.listed_on_platforms @> jsonb_build_array(
            jsonb_build_object('platform', CAST(:platform AS text), 'status', 'active'))
        THEN s.listed_on_platforms
        ELSE COALESCE(s.listed_on_platforms, '[]') || jsonb_build_object('platform', CAST(:platform AS text),
            'listing_id', 'legacy:status:' || s.id, 'listed_at', now(), 'status', 'active')
    END,
    status_history = COALESCE(s.status_history, '[]') || jsonb_build_object(
        'from_status', s.status, 'to_status', 'in_stock', 'changed_at', now(), 'reason', 'migration 0003')
WHERE s.id IN (SELECT id FROM inventory.stock WHERE status = :status LIMIT :batch)
"""
FLAGS = {"listed_stockx": "stockx", "listed_alias": "alias", "listed_local": "local"}
TRANSLATE_FLAG = """
UPDATE inventory.stock s SET
    listed_on_platforms = COALESCE(s.listed_on_platforms, '[]') || jsonb_build_object(
        'platform', CAST(:platform AS text), 'listing_id', 'legacy:flag:' || s.id,
        'listed_at', now(), 'status', 'active'),
    status_history = COALESCE(s.status_history, '[]') || jsonb_build_object('from_status', s.status,
        'to_status', s.status, 'changed_at', now(), 'reason', 'migration 0003: {flag}')
WHERE s.id IN (
    SELECT id FROM inventory.stock WHERE {flag}
    AND NOT COALESCE(listed_on_platforms, '[]') @> jsonb_build_array(
        jsonb_build_object('platform', CAST(:platform AS text), 'status', 'active'))
    AND NOT COALESCE(listed_on_platforms, '[]') @> jsonb_build_array(
        jsonb_build_object('platform', CAST(:platform AS text), 'listing_id', 'legacy:flag:' || id))
    LIMIT :batch)
"""

READ_DOCUMENTS = """
SELECT id, xmin::text AS seen, listed_on_platforms::text, status_history::text FROM inventory.stock
WHERE id > :after AND (listed_on_platforms IS NOT NULL OR status_history IS NOT NULL)
ORDER BY id LIMIT :batch
"""
# A row that was written since it was read is left, and read again.
WRITE_DOCUMENTS = """
UPDATE inventory.stock s SET
    listed_on_platforms = NULLIF(c.listings, 'null'), status_history = NULLIF(c.history, 'null')
FROM jsonb_to_recordset(CAST(:changes AS jsonb)) AS c (id uuid, seen text, listings jsonb, history jsonb)
WHERE s.id = c.id AND s.xmin::text = c.seen
"""

CHECKS = {
    "ck_stock_reserved_quantity": "0 <= reserved_quantity AND reserved_quantity <= quantity",
    "ck_stock_status": "status IN ('in_stock', 'presale', 'preorder', 'sold', 'canceled', 'error')",
}


def upgrade() -> None:
    """Adds the columns, fills them, then makes them binding."""
    with op.get_context().autocommit_block():
        op.execute('ALTER TABLE inventory.stock ADD COLUMN IF NOT EXISTS sku text COLLATE "C"')
        op.execute("ALTER TABLE inventory.stock ADD COLUMN IF NOT EXISTS version bigint NOT NULL DEFAULT 1")
        op.execute("ALTER TABLE inventory.stock ALTER COLUMN product_id DROP NOT NULL")
        op.execute("ALTER TABLE inventory.stock ALTER COLUMN size_id DROP NOT NULL")
        # Room in each page, so that a changed quantity stays beside its old version.
        op.execute("ALTER TABLE inventory.stock SET (fillfactor = 85)")
        op.execute(SKU_DEFAULT)
        op.execute(
            "CREATE OR REPLACE TRIGGER stock_sku_default BEFORE INSERT ON inventory.stock"
            " FOR EACH ROW EXECUTE FUNCTION inventory.stock_sku_default()"
        )
        _fill("sku", _code())
        _fill("reserved_quantity", "0")
        _stop_at_bad_rows()
        _unify_documents()
        for status, platform in LEGACY_STATUSES.items():
            _in_batches(status, TRANSLATE_STATUS, status=status, platform=platform)
        for flag, platform in FLAGS.items():
            if _finds(
                "SELECT 1 FROM pg_attribute WHERE attrelid = 'inventory.stock'::regclass AND attname = :name",
                flag,
            ):
                _in_batches(flag, TRANSLATE_FLAG.format(flag=flag), platform=platform)
        _build_index("CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS", "uq_stock_sku", "(sku)")
        _build_index("CREATE INDEX CONCURRENTLY IF NOT EXISTS", "ix_stock_created_at", "(created_at, id)")
        if not _has_constraint("uq_stock_sku"):
            op.execute(
                "ALTER TABLE inventory.stock ADD CONSTRAINT uq_stock_sku UNIQUE USING INDEX uq_stock_sku"
            )
        for column in ("sku", "reserved_quantity"):
            _set_not_null(column)
        for name, condition in CHECKS.items():
            _add_check(name, condition)


def downgrade() -> None:
    """Drops what was added; stocks created without product or size cannot go back and stop it."""
    orphans = op.get_bind().execute(
        sa.text("SELECT sku FROM inventory.stock WHERE product_id IS NULL OR size_id IS NULL LIMIT 20")
    )
    if skus := orphans.scalars().all():
        raise sa.exc.InvalidRequestError(
            f"stocks without product or size have no place in the schema before: {', '.join(skus)}"
        )
    op.execute("DROP TRIGGER IF EXISTS stock_sku_default ON inventory.stock")
    op.execute("DROP FUNCTION IF EXISTS inventory.stock_sku_default()")
    for name in (*CHECKS, "uq_stock_sku"):
        op.execute(f"ALTER TABLE inventory.stock DROP CONSTRAINT IF EXISTS {name}")
    op.execute("DROP INDEX IF EXISTS inventory.ix_stock_created_at")
    op.execute("ALTER TABLE inventory.stock RESET (fillfactor)")
    op.execute("ALTER TABLE inventory.stock ALTER COLUMN reserved_quantity DROP NOT NULL")
    op.execute("ALTER TABLE inventory.stock DROP COLUMN IF EXISTS sku, DROP COLUMN IF EXISTS version")
    op.execute("ALTER TABLE inventory.stock ALTER COLUMN product_id SET NOT NULL")
    op.execute("ALTER TABLE inventory.stock ALTER COLUMN size_id SET NOT NULL")


def _fill(column: str, value: str) -> None:
    _in_batches(
        column,
        f"UPDATE inventory.stock SET {column} = {value} WHERE id IN"  # noqa: S608
        f" (SELECT id FROM inventory.stock WHERE {column} IS NULL LIMIT :batch)",
    )


def _code() -> str:
    if _finds("SELECT 1 WHERE to_regclass(:name) IS NOT NULL", "inventory.adoption_sku"):
        return "COALESCE((SELECT a.sku FROM inventory.adoption_sku a WHERE a.id = stock.id), id::text)"
    return "id::text"


def _in_batches(what: str, statement: str, **values: str | None) -> None:
    rewritten = 0
    while done := op.get_bind().execute(sa.text(statement), {"batch": BATCH, **values}).rowcount:
        rewritten += done
        log.info("%s rewritten in %d rows", what, rewritten)


def _unify_documents() -> None:
    zone = ZoneInfo("UTC")
    if _finds("SELECT 1 WHERE to_regclass(:name) IS NOT NULL", "inventory.adoption"):
        zone = ZoneInfo(
            op.get_bind().execute(sa.text("SELECT time_zone FROM inventory.adoption")).scalar_one()
        )
    after, read = "00000000-0000-0000-0000-000000000000", 0
    while rows := _documents_after(after):
        changes = [change for row in rows if (change := _unified(row, zone))]
        written = 0
        if changes:
            write = sa.text(WRITE_DOCUMENTS)
            written = op.get_bind().execute(write, {"changes": json.dumps(changes)}).rowcount
        if written == len(changes):
            after = rows[-1].id
            read += len(rows)
            log.info("listings and histories looked through in %d rows", read)


def _documents_after(after: str) -> Any:
    values = {"after": after, "batch": DOCUMENTS}
    return op.get_bind().execute(sa.text(READ_DOCUMENTS), values).all()


def _unified(row: Any, zone: ZoneInfo) -> dict[str, Any] | None:
    try:
        listings = documents.listings(row.listed_on_platforms, str(row.id), zone)
        history = documents.status_history(row.status_history, zone)
    except documents.WrongShape as error:
        raise sa.exc.InvalidRequestError(
            f"stock {row.id} has a document of no known shape: {error}"
        ) from None
    old = [document and json.loads(document) for document in (row.listed_on_platforms, row.status_history)]
    if old == [listings, history] and "null" not in (row.listed_on_platforms, row.status_history):
        return None
    return {"id": str(row.id), "seen": row.seen, "listings": listings, "history": history}


def _finds(select: str, name: str) -> bool:
    return op.get_bind().execute(sa.text(select), {"name": name}).first() is not None


def _stop_at_bad_rows() -> None:
    bad = {
        "statuses that are not known": (
            f"SELECT id || ' (' || status || ')' FROM inventory.stock"  # noqa: S608
            f" WHERE status NOT IN {(*documents.STATUSES, *LEGACY_STATUSES)} LIMIT 20"
        ),
        "stocks that hold more than they have, or less than nothing": (
            "SELECT id || ' (' || reserved_quantity || ' of ' || quantity || ')' FROM inventory.stock"
            " WHERE NOT (0 <= reserved_quantity AND reserved_quantity <= quantity) LIMIT 20"
        ),
    }
    for complaint, select in bad.items():
        if rows := op.get_bind().execute(sa.text(select)).scalars().all():
            raise sa.exc.InvalidRequestError(f"{complaint}: {', '.join(rows)}")


def _build_index(create: str, name: str, columns: str) -> None:
    # A build that was cut short leaves an invalid index of that name behind.
    invalid = sa.text(
        "SELECT EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass(:name) AND NOT indisvalid)"
    )
    if op.get_bind().execute(invalid, {"name": f"inventory.{name}"}).scalar():
        op.execute(f"DROP INDEX CONCURRENTLY inventory.{name}")
    op.execute(f"{create} {name} ON inventory.stock {columns}")


def _has_constraint(name: str) -> bool:
    found = sa.text(
        "SELECT EXISTS (SELECT FROM pg_constraint"
        " WHERE conname = :name AND conrelid = 'inventory.stock'::regclass)"
    )
    return bool(op.get_bind().execute(found, {"name": name}).scalar())


def _add_check(name: str, condition: str) -> None:
    if not _has_constraint(name):
        op.execute(f"ALTER TABLE inventory.stock ADD CONSTRAINT {name} CHECK ({condition}) NOT VALID")
    op.execute(f"ALTER TABLE inventory.stock VALIDATE CONSTRAINT {name}")


def _set_not_null(column: str) -> None:
    # A valid check spares SET NOT NULL its scan, which would block everybody.
    name = f"ck_stock_{column}_present"
    _add_check(name, f"{column} IS NOT NULL")
    op.execute(f"ALTER TABLE inventory.stock ALTER COLUMN {column} SET NOT NULL")
    op.execute(f"ALTER TABLE inventory.stock DROP CONSTRAINT IF EXISTS {name}")
