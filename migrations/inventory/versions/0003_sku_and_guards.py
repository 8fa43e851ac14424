"""Name stocks by sku and guard their numbers.

Why: delivery and everybody else name a stock by its sku; the schema is the last defence against overselling.
Previous release: it may go on. Triggers give its new rows their id as sku, and turn the statuses that begin with
listed_ and reserved into what replaces them; it may no longer hold more than there is, and documents that it writes
must have the new shape.
Locks: each step takes its lock for an instant; rows are rewritten 1,000 at a time; indexes are built CONCURRENTLY and
checks are added NOT VALID, then validated beside writers.

An unknown status, a row that breaks 0 <= reserved_quantity <= quantity and a document of no known shape stop the
revision by name. An adopted database says in `adoption` which zone its naive times are of, and in `adoption_sku`
which codes its stocks have.
"""

import json
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from alembic import op
from alembic.util import load_python_file

revision = "0003"
down_revision = "0002"

DOCUMENTS = 1000

online: Any = load_python_file(Path(__file__).parents[1], "online.py")
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
# A document that is no list yet becomes the first entry of one.
TRANSLATE_STATUS = """
CREATE OR REPLACE FUNCTION inventory.stock_status_translated() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    platform text := CASE WHEN NEW.status <> 'reserved' THEN substr(NEW.status, 8) END;
    listings jsonb := CASE WHEN NEW.listed_on_platforms IS NULL OR NEW.listed_on_platforms = 'null' THEN '[]'
        WHEN jsonb_typeof(NEW.listed_on_platforms) = 'array' THEN NEW.listed_on_platforms
        ELSE jsonb_build_array(NEW.listed_on_platforms) END;
    history jsonb := CASE WHEN NEW.status_history IS NULL OR NEW.status_history = 'null' THEN '[]'
        WHEN jsonb_typeof(NEW.status_history) = 'array' THEN NEW.status_history
        ELSE jsonb_build_array(NEW.status_history) END;
BEGIN
    IF platform IS NOT NULL
        AND NOT listings @> jsonb_build_array(jsonb_build_object('platform', platform, 'status', 'active'))
        AND NOT listings @> jsonb_build_array(
            jsonb_build_object('platform', platform, 'listing_id', 'legacy:status:' || NEW.id))
    THEN
        NEW.listed_on_platforms := listings || jsonb_build_object('platform', platform,
            'listing_id', 'legacy:status:' || NEW.id, 'listed_at', now(), 'status', 'active');
    END IF;
    NEW.status_history := history || jsonb_build_object(
        'from_status', NEW.status, 'to_status', 'in_stock', 'changed_at', now(), 'reason', 'migration 0003');
    NEW.status := 'in_stock';
    RETURN NEW;
END
$$
"""
FLAGS = {"listed_stockx": "stockx", "listed_alias": "alias", "listed_local": "local"}
UNTRANSLATED_FLAG = """
s.{flag} AND NOT COALESCE(s.listed_on_platforms, '[]') @> jsonb_build_array(
    jsonb_build_object('platform', CAST(:platform AS text), 'status', 'active'))
AND NOT COALESCE(s.listed_on_platforms, '[]') @> jsonb_build_array(
    jsonb_build_object('platform', CAST(:platform AS text), 'listing_id', 'legacy:flag:' || s.id))
"""
TRANSLATE_FLAG = """
UPDATE inventory.stock s SET
    listed_on_platforms = COALESCE(s.listed_on_platforms, '[]') || jsonb_build_object(
        'platform', CAST(:platform AS text), 'listing_id', 'legacy:flag:' || s.id,
        'listed_at', now(), 'status', 'active'),
    status_history = COALESCE(s.status_history, '[]') || jsonb_build_object('from_status', s.status,
        'to_status', s.status, 'changed_at', now(), 'reason', 'migration 0003: {flag}')
FROM batch WHERE s.id = batch.id RETURNING 1
"""

COUNT_DOCUMENTS = """
SELECT count(*) FROM inventory.stock WHERE listed_on_platforms IS NOT NULL OR status_history IS NOT NULL
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
        for change in (
            'ADD COLUMN IF NOT EXISTS sku text COLLATE "C"',
            "ADD COLUMN IF NOT EXISTS version bigint NOT NULL DEFAULT 1",
            "ALTER COLUMN product_id DROP NOT NULL, ALTER COLUMN size_id DROP NOT NULL",
            # Room in each page, so that a changed quantity stays beside its old version.
            "SET (fillfactor = 85)",
        ):
            online.instantly(f"ALTER TABLE inventory.stock {change}")
        _make_triggers()
        _fill("sku", _code())
        _fill("reserved_quantity", "0")
        _stop_at_bad_rows()
        _unify_documents()
        _translate()
        online.build_index("CREATE UNIQUE INDEX", "uq_stock_sku", "inventory.stock (sku)")
        online.build_index("CREATE INDEX", "ix_stock_created_at", "inventory.stock (created_at, id)")
        if not _has_constraint("uq_stock_sku"):
            online.instantly(
                "ALTER TABLE inventory.stock ADD CONSTRAINT uq_stock_sku UNIQUE USING INDEX uq_stock_sku"
            )
        for column in ("sku", "reserved_quantity"):
            _set_not_null(column)
        for name, condition in CHECKS.items():
            _add_check(name, condition)


def refuse_downgrade() -> None:
    """Stops it where stocks have no product or size: they cannot go back."""
    orphans = op.get_bind().execute(
        sa.text("SELECT sku FROM inventory.stock WHERE product_id IS NULL OR size_id IS NULL LIMIT 20")
    )
    if skus := orphans.scalars().all():
        raise sa.exc.InvalidRequestError(
            f"stocks without product or size have no place in the schema before: {', '.join(skus)}"
        )


def downgrade() -> None:
    """Drops what was added."""
    refuse_downgrade()
    for trigger in ("stock_sku_default", "stock_status_translated"):
        op.execute(f"DROP TRIGGER IF EXISTS {trigger} ON inventory.stock")
        op.execute(f"DROP FUNCTION IF EXISTS inventory.{trigger}()")
    for name in (*CHECKS, "uq_stock_sku"):
        op.execute(f"ALTER TABLE inventory.stock DROP CONSTRAINT IF EXISTS {name}")
    op.execute("DROP INDEX IF EXISTS inventory.ix_stock_created_at")
    op.execute("ALTER TABLE inventory.stock RESET (fillfactor)")
    op.execute("ALTER TABLE inventory.stock ALTER COLUMN reserved_quantity DROP NOT NULL")
    op.execute("ALTER TABLE inventory.stock DROP COLUMN IF EXISTS sku, DROP COLUMN IF EXISTS version")
    op.execute("ALTER TABLE inventory.stock ALTER COLUMN product_id SET NOT NULL")
    op.execute("ALTER TABLE inventory.stock ALTER COLUMN size_id SET NOT NULL")


def _make_triggers() -> None:
    op.execute(SKU_DEFAULT)
    op.execute(sa.text(TRANSLATE_STATUS.replace(":", r"\:")))
    online.instantly(
        "CREATE OR REPLACE TRIGGER stock_sku_default BEFORE INSERT ON inventory.stock"
        " FOR EACH ROW EXECUTE FUNCTION inventory.stock_sku_default()"
    )
    online.instantly(
        "CREATE OR REPLACE TRIGGER stock_status_translated BEFORE INSERT OR UPDATE OF status ON inventory.stock"
        f" FOR EACH ROW WHEN (NEW.status IN {tuple(LEGACY_STATUSES)})"
        " EXECUTE FUNCTION inventory.stock_status_translated()"
    )


def _fill(column: str, value: str) -> None:
    online.in_batches(
        f"{column} filled",
        f"s.{column} IS NULL",
        f"UPDATE inventory.stock s SET {column} = {value} FROM batch WHERE s.id = batch.id RETURNING 1",  # noqa: S608
    )


def _translate() -> None:
    # The trigger does it.
    online.in_batches(
        "statuses translated",
        f"s.status IN {tuple(LEGACY_STATUSES)}",
        "UPDATE inventory.stock s SET status = s.status FROM batch WHERE s.id = batch.id RETURNING 1",
    )
    column = "SELECT 1 FROM pg_attribute WHERE attrelid = 'inventory.stock'::regclass AND attname = :name"
    for flag, platform in FLAGS.items():
        if _finds(column, flag):
            untranslated, translate = UNTRANSLATED_FLAG.format(flag=flag), TRANSLATE_FLAG.format(flag=flag)
            online.in_batches(f"{flag} translated", untranslated, translate, platform=platform)


def _code() -> str:
    if _finds("SELECT 1 WHERE to_regclass(:name) IS NOT NULL", "inventory.adoption_sku"):
        return "COALESCE((SELECT a.sku FROM inventory.adoption_sku a WHERE a.id = s.id), s.id::text)"
    return "s.id::text"


def _unify_documents() -> None:
    zone = ZoneInfo("UTC")
    if _finds("SELECT 1 WHERE to_regclass(:name) IS NOT NULL", "inventory.adoption"):
        zone = ZoneInfo(
            op.get_bind().execute(sa.text("SELECT time_zone FROM inventory.adoption")).scalar_one()
        )
    after = "00000000-0000-0000-0000-000000000000"
    documented = op.get_bind().execute(sa.text(COUNT_DOCUMENTS)).scalar_one()
    with online.progress("listings and histories read", documented) as advance:
        while rows := _documents_after(after):
            changes = [change for row in rows if (change := _unified(row, zone))]
            written = 0
            if changes:
                write = sa.text(WRITE_DOCUMENTS)
                written = op.get_bind().execute(write, {"changes": json.dumps(changes)}).rowcount
            if written == len(changes):
                after = rows[-1].id
                advance(len(rows))


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


def _has_constraint(name: str) -> bool:
    found = sa.text(
        "SELECT EXISTS (SELECT FROM pg_constraint"
        " WHERE conname = :name AND conrelid = 'inventory.stock'::regclass)"
    )
    return bool(op.get_bind().execute(found, {"name": name}).scalar())


def _add_check(name: str, condition: str) -> None:
    if not _has_constraint(name):
        online.instantly(f"ALTER TABLE inventory.stock ADD CONSTRAINT {name} CHECK ({condition}) NOT VALID")
    online.patiently(f"ALTER TABLE inventory.stock VALIDATE CONSTRAINT {name}")


def _set_not_null(column: str) -> None:
    # A valid check spares SET NOT NULL its scan, which would block everybody.
    name = f"ck_stock_{column}_present"
    _add_check(name, f"{column} IS NOT NULL")
    online.instantly(f"ALTER TABLE inventory.stock ALTER COLUMN {column} SET NOT NULL")
    online.instantly(f"ALTER TABLE inventory.stock DROP CONSTRAINT IF EXISTS {name}")
