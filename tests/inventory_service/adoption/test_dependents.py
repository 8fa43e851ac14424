"""What others have built upon our objects is named before anything is changed, by an adoption and by a restore."""

from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from servicekit.adoption.run import AdoptionRefused
from tests.inventory_service.adoption.command import Command
from tests.inventory_service.adoption.conftest import Adopt
from tests.inventory_service.adoption.legacy_database import PHASE_2, Legacy, lay_out, state
from tests.migrations.inventory.legacy import execute, rows

STRANGERS = (
    "CREATE SCHEMA theirs",
    "CREATE TYPE theirs.shade AS ENUM ('new', 'old')",
    "ALTER TABLE inventory.stock ALTER detailed_status TYPE theirs.shade USING 'new'",
    # What is in nobody's way.
    "CREATE VIEW theirs.notes AS SELECT id, notes FROM inventory.stock",
    "CREATE INDEX by_time ON inventory.stock (created_at)",
    "CREATE TABLE theirs.sale (stock_id uuid REFERENCES inventory.stock)",
    "CREATE FUNCTION theirs.nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
    "CREATE TRIGGER harmless BEFORE UPDATE ON inventory.stock FOR EACH ROW EXECUTE FUNCTION theirs.nothing()",
)
IN_THE_WAY = {
    "stock.created_at has view theirs.board built upon it": (
        "CREATE VIEW theirs.board AS SELECT date(created_at) AS day FROM inventory.stock",
        "DROP VIEW theirs.board",
    ),
    'stock.updated_at has view inventory."Last" built upon it': (
        'CREATE MATERIALIZED VIEW inventory."Last" AS SELECT max(updated_at) FROM inventory.stock',
        'DROP MATERIALIZED VIEW inventory."Last"',
    ),
    "stock.updated_at has function theirs.newest() built upon it": (
        "CREATE FUNCTION theirs.newest() RETURNS timestamp RETURN (SELECT max(updated_at) FROM inventory.stock)",
        "DROP FUNCTION theirs.newest()",
    ),
    "stock.delivery_date has trigger late on inventory.stock built upon it": (
        "CREATE TRIGGER late BEFORE UPDATE OF delivery_date ON inventory.stock FOR EACH ROW"
        " EXECUTE FUNCTION theirs.nothing()",
        "DROP TRIGGER late ON inventory.stock",
    ),
    "stock.purchase_date has policy bought on inventory.stock built upon it": (
        "CREATE POLICY bought ON inventory.stock USING (purchase_date IS NOT NULL)",
        "DROP POLICY bought ON inventory.stock",
    ),
    "stock.purchase_date has default value for inventory.stock.bought_on built upon it": (
        "ALTER TABLE inventory.stock ADD bought_on date GENERATED ALWAYS AS (purchase_date::date) STORED",
        "ALTER TABLE inventory.stock DROP bought_on",
    ),
    "stock.created_at has publication relation inventory.stock in publication theirs built upon it": (
        "CREATE PUBLICATION theirs FOR TABLE inventory.stock WHERE (created_at > '2020-01-01')",
        "DROP PUBLICATION theirs",
    ),
    "stock.detailed_status has index inventory.worn built upon it": (
        "CREATE INDEX worn ON inventory.stock (id) WHERE detailed_status = 'old'",
        "DROP INDEX inventory.worn",
    ),
    "stock.detailed_status has table constraint shaded on inventory.stock built upon it": (
        "ALTER TABLE inventory.stock ADD CONSTRAINT shaded CHECK (detailed_status <> 'old')",
        "ALTER TABLE inventory.stock DROP CONSTRAINT shaded",
    ),
    "stock_metrics_view.* has view theirs.metrics built upon it": (
        "CREATE VIEW theirs.metrics AS SELECT stock_id FROM inventory.stock_metrics_view",
        "DROP VIEW theirs.metrics",
    ),
    "stock_metrics_view.* has function theirs.figures() built upon it": (
        "CREATE FUNCTION theirs.figures() RETURNS SETOF inventory.stock_metrics_view LANGUAGE sql"
        " AS 'SELECT * FROM inventory.stock_metrics_view'",
        "DROP FUNCTION theirs.figures()",
    ),
}


async def test_all_that_is_in_the_way_of_an_adoption_is_named_at_once_by_a_dry_run_too(
    engine: AsyncEngine, adopt: Adopt
) -> None:
    await lay_out(engine, Legacy(stocks=9, phase_2=len(PHASE_2), split=0, zone=False))
    for statement in (*STRANGERS, *(make for make, _ in IN_THE_WAY.values())):
        await execute(engine, statement)
    before = await state(engine)

    for dry_run in (True, False):
        with pytest.raises(AdoptionRefused) as refused:
            await adopt(dry_run=dry_run, time_zone="UTC", without_backup=True)
        advice = "; drop that before, and make it again after"
        assert set(str(refused.value).splitlines()[1:]) == {f"{says}{advice}" for says in IN_THE_WAY}

    assert await state(engine) == before
    for _, drop in IN_THE_WAY.values():
        await execute(engine, drop)
    await adopt(time_zone="UTC", without_backup=True)
    assert await rows(engine, "SELECT count(*) FROM theirs.notes") == [(9,)]


async def test_all_that_a_restore_would_drop_with_the_schema_is_named_and_nothing_is_put_back(
    engine: AsyncEngine, adopt: Adopt, command: Command, folder: Path
) -> None:
    await lay_out(engine, Legacy(stocks=3, split=0))
    await adopt()
    backup = the_backup(folder)
    built_upon = {
        "default value for public.sale.stock_count": "CREATE TABLE public.sale (stock_id uuid REFERENCES"
        " inventory.stock, stock_count integer DEFAULT inventory.stock_count(), whole inventory.stock)",
        "function public.of_stock(inventory.stock)": "CREATE FUNCTION public.of_stock(inventory.stock) RETURNS text"
        " LANGUAGE sql AS 'SELECT $1.notes'",
        "publication relation inventory.stock in publication theirs": (
            "CREATE PUBLICATION theirs FOR TABLE inventory.stock"
        ),
        "table column public.sale.whole": "SELECT 1",
        "view public.shelf": "CREATE VIEW public.shelf AS SELECT id FROM inventory.stock",
    }
    await execute(
        engine, "CREATE FUNCTION inventory.stock_count() RETURNS integer LANGUAGE sql AS 'SELECT 1'"
    )
    for statement in built_upon.values():
        await execute(engine, statement)
    adopted = await state(engine)

    done = await command("restore", str(backup), "--discard-data")

    assert (done.code, done.errors.splitlines()[-1]) == (
        1,
        "nothing was put back: the schema inventory goes, and these of other schemas are built upon it; drop them"
        f" first, and make them again after: {', '.join(built_upon)}",
    )
    assert await state(engine) == adopted
    for drop in ("TABLE public.sale", "FUNCTION public.of_stock", "PUBLICATION theirs", "VIEW public.shelf"):
        await execute(engine, f"DROP {drop}")
    done = await command("restore", str(backup), "--discard-data")
    assert done.code == 0, done.errors


def the_backup(folder: Path) -> Path:
    """The only one in a folder."""
    (backup,) = folder.glob("*.dump")
    return backup
