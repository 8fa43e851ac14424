"""Adoption of databases in each of the shapes that the legacy system passed through."""

import re
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from inventory_service.domain.legacy import BACKUPS
from servicekit.adoption.run import AdoptionRefused
from servicekit.persistence.engines import create_engine
from servicekit.schema.migrations import Schema
from tests.inventory_service.adoption.conftest import SCHEMA, Adopt
from tests.inventory_service.adoption.legacy_database import PHASE_2, Legacy, lay_out, state
from tests.migrations.inventory.legacy import execute, rows
from tests.migrations.inventory.soundness import assert_sound, differences

AFTER = len(PHASE_2)
SHAPES = {
    "before Phase 2, split tables partly filled, flags and reservations": Legacy(
        flags=True, reservations=True
    ),
    "half-way, with columns but without indexes and view": Legacy(phase_2=6, split=2),
    "half-way, without its view": Legacy(phase_2=AFTER - 4, split=1, reservations=True),
    "after Phase 2, without its function": Legacy(phase_2=AFTER - 1, split=1, reservations=True),
    "after Phase 2, split tables full": Legacy(phase_2=AFTER, split=2, flags=True),
    "after Phase 2, split tables empty as the old system left them": Legacy(phase_2=AFTER, split=0),
}
TAKEN_AS = {name: "0002" if "empty" in name else "0001" for name in SHAPES}


@pytest.mark.parametrize("name", SHAPES)
async def test_a_database_of_every_shape_is_adopted_whole(
    engine: AsyncEngine, adopt: Adopt, name: str
) -> None:
    await lay_out(engine, SHAPES[name])
    before = await rows(
        engine, 'SELECT id, product_id, quantity, notes, "Shelf" FROM inventory.stock ORDER BY id'
    )

    told = await adopt()

    assert f"taken as revision {TAKEN_AS[name]}" in told
    assert name.split(",")[0].replace("half-way", "half-way through Phase 2") in told
    assert await SCHEMA.applied(engine) == SCHEMA.expected
    after = await rows(
        engine, 'SELECT id, product_id, quantity, notes, "Shelf" FROM inventory.stock ORDER BY id'
    )
    assert after == before
    await execute(engine, 'ALTER TABLE inventory.stock DROP COLUMN "Shelf"')
    for flag in ("listed_stockx", "listed_alias", "listed_local"):
        await execute(engine, f"ALTER TABLE inventory.stock DROP COLUMN IF EXISTS {flag}")
    await assert_sound(engine)
    assert re.search(r"units +(\d+) +\1\n", told) and re.search(
        r"sum of purchase_price +([\d.]+) +\1\n", told
    )
    assert await rows(engine, "SELECT to_regclass('inventory.adoption_stock')") == [(None,)]


async def test_times_without_a_zone_are_read_in_the_one_that_is_named(
    engine: AsyncEngine, adopt: Adopt
) -> None:
    await lay_out(engine, Legacy(stocks=40, phase_2=AFTER, split=0, reservations=True, zone=False))
    await execute(
        engine,
        'UPDATE inventory.stock SET listed_on_platforms = \'[{"platform": "ebay", "listing_id":'
        ' "E", "listed_at": "2025-07-01T12:00:00"}]\'',
    )
    await execute(engine, "GRANT SELECT ON inventory.stock_metrics_view TO PUBLIC")
    untouched = await state(engine)

    with pytest.raises(
        AdoptionRefused, match=r"stock\.created_at is timestamp without time zone.*--time-zone"
    ):
        await adopt()
    assert await state(engine) == untouched

    await adopt(time_zone="Europe/Berlin")

    instants = (
        "SELECT DISTINCT created_at AT TIME ZONE 'UTC' = '2024-12-31 23:30', purchase_date AT TIME ZONE 'UTC'"
        " = '2025-07-01 10:00', listed_on_platforms -> 0 ->> 'listed_at' FROM inventory.stock"
    )
    assert await rows(engine, instants) == [(True, True, "2025-07-01T10:00:00+00:00")]
    view = "SELECT count(*) FROM inventory.stock_metrics_view WHERE created_at IS NOT NULL"
    assert await rows(engine, view) == [(40,)]
    readable = "SELECT has_table_privilege('pg_monitor', 'inventory.stock_metrics_view', 'SELECT')"
    assert await rows(engine, readable) == [(True,)]


async def test_a_dry_run_tells_the_same_and_changes_nothing_and_nothing_is_adopted_twice(
    engine: AsyncEngine, adopt: Adopt, folder: Path
) -> None:
    await lay_out(engine, Legacy(stocks=60, flags=True, reservations=True))
    before = await state(engine)

    dry = await adopt(dry_run=True)

    assert await state(engine) == before
    assert names(folder) == ["oddities.txt"]
    told = await adopt()
    assert dry.removesuffix("dry run: nothing was changed") == told[: told.index("backup: ")]
    adopted = await state(engine)
    assert adopted != before
    with pytest.raises(
        AdoptionRefused, match=r"this service's already; bring it up to date with: .* upgrade"
    ):
        await adopt()
    assert await state(engine) == adopted


def names(folder: Path) -> list[str]:
    """Of all files in a folder."""
    return sorted(file.name for file in folder.iterdir())


async def test_what_is_no_legacy_database_is_told_what_to_do(engine: AsyncEngine, adopt: Adopt) -> None:
    with pytest.raises(AdoptionRefused, match=r"has no stock yet; lay out the tables with: .* upgrade"):
        await adopt()
    await execute(engine, "CREATE SCHEMA inventory")
    await execute(engine, "CREATE TABLE inventory.warehouse (id integer)")

    with pytest.raises(AdoptionRefused, match=r"not a stock database .* has the tables warehouse; stock"):
        await adopt()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("DROP COLUMN vat_amount", "stock.vat_amount is missing, numeric(10,2) is expected"),
        (
            "ALTER ean TYPE varchar(12)",
            "stock.ean is character varying(12), character varying(13) is expected",
        ),
        ("ALTER quantity DROP DEFAULT, ALTER quantity TYPE float", "stock.quantity is double precision"),
        (
            "ADD rack text NOT NULL DEFAULT ''; ALTER TABLE inventory.stock ALTER rack DROP DEFAULT",
            "stock.rack must be given for every new row",
        ),
        ("ADD sku text", "stock.sku bears a name that this service gives; rename it"),
        ("DROP CONSTRAINT stock_pkey", "stock.id is no key"),
    ],
)
async def test_a_column_that_does_not_fit_stops_it_by_name(
    engine: AsyncEngine, adopt: Adopt, change: str, told: str
) -> None:
    await lay_out(engine, Legacy(stocks=3, split=0))
    for statement in f"ALTER TABLE inventory.stock {change}".split(";"):
        await execute(engine, statement)
    before = await state(engine)

    with pytest.raises(AdoptionRefused, match=re.escape(told)):
        await adopt()

    assert await state(engine) == before


async def test_wider_columns_are_kept_and_mendable_ones_mended(engine: AsyncEngine, adopt: Adopt) -> None:
    await lay_out(engine, Legacy(stocks=30))
    await execute(engine, "CREATE TYPE condition AS ENUM ('in_stock', 'presale', 'sold')")
    await execute(engine, "DELETE FROM inventory.stock WHERE status NOT IN ('in_stock', 'presale', 'sold')")
    for table in ("financial", "lifecycle", "metrics"):
        await execute(
            engine,
            f"DELETE FROM inventory.stock_{table} t WHERE NOT EXISTS"
            " (SELECT FROM inventory.stock s WHERE s.id = t.stock_id)",
        )
    await execute(
        engine,
        "ALTER TABLE inventory.stock ALTER notes TYPE varchar, ALTER ean TYPE text,"
        " ALTER purchase_price TYPE numeric(12,2), ALTER external_ids TYPE json,"
        " ALTER created_at DROP DEFAULT, ALTER updated_at DROP NOT NULL,"
        " ALTER status DROP DEFAULT, ALTER status TYPE condition USING status::condition",
    )

    await execute(engine, "ALTER TABLE inventory.stock_lifecycle ADD shelf_life_days integer")

    told = await adopt(without_backup=True)

    assert (
        "stock_lifecycle.shelf_life_days is not expected, integer: kept as it is there, in no column of stock,"
        " until the contract steps drop it" in told
    )
    assert await rows(engine, "SELECT backup FROM inventory.adoption") == [(None,)]
    assert "stock.ean is text, character varying(13) is expected: kept as it is" in told
    assert "stock.external_ids is json, jsonb is expected: changed to what is expected" in told
    assert "stock.created_at has no default, gets now(): changed" in told
    async with engine.connect() as connection:
        found = await connection.run_sync(differences)
    assert {change[0][0] if isinstance(change, list) else change[0] for change in found} == {
        "remove_column",
        "modify_type",
    }


async def test_an_index_of_the_name_with_other_columns_stops_it(engine: AsyncEngine, adopt: Adopt) -> None:
    await lay_out(engine, Legacy(stocks=3, phase_2=6))
    await execute(engine, "CREATE INDEX idx_stock_reserved ON inventory.stock (reserved_quantity)")

    with pytest.raises(AdoptionRefused, match="idx_stock_reserved is an index ON stock USING btree"):
        await adopt()


async def test_two_adoptions_at_once_do_not_meet(
    engine: AsyncEngine, adopt: Adopt, postgres_url: str
) -> None:
    await lay_out(engine, Legacy(stocks=3, split=0))
    other = create_engine(postgres_url, pool_size=1)
    async with other.connect() as connection:
        await connection.exec_driver_sql("SELECT pg_advisory_lock(hashtext('holdfast.inventory.adopt'))")

        with pytest.raises(AdoptionRefused, match="another adoption of this database is running"):
            await adopt()

    await other.dispose()
    assert Schema("inventory").pending(await SCHEMA.applied(engine))


async def test_backups_by_others_are_kept_whatever_the_type_and_the_order_of_their_columns(
    engine: AsyncEngine, adopt: Adopt
) -> None:
    await lay_out(engine, Legacy(stocks=24, phase_2=11))
    for table in ("stock_lifecycle", "stock_lifecycle_backup"):
        types = (
            "ALTER listed_on_platforms TYPE json, ALTER status_history TYPE json, ADD extra json DEFAULT '{}'"
        )
        await execute(engine, f"ALTER TABLE inventory.{table} {types}")
    await execute(engine, "DROP TABLE inventory.stock_metrics_backup")
    await execute(
        engine,
        "CREATE TABLE inventory.stock_metrics_backup AS SELECT reserved_quantity, available_quantity, id, stock_id,"
        " expected_profit, total_cost FROM inventory.stock_metrics",
    )
    kept = {table: await rows(engine, f"TABLE inventory.{table} ORDER BY id") for table in BACKUPS}

    await adopt(without_backup=True)

    assert kept == {table: await rows(engine, f"TABLE inventory.{table} ORDER BY id") for table in BACKUPS}


async def test_a_view_that_is_older_than_the_columns_of_phase_2_stops_it(
    engine: AsyncEngine, adopt: Adopt
) -> None:
    await lay_out(engine, Legacy(stocks=24, phase_2=AFTER))
    await execute(engine, "ALTER TABLE inventory.stock DROP COLUMN status_history")
    says = r"stock_metrics_view\.\* is there, which Phase 2 makes last, and stock has no status_history; drop the view"

    with pytest.raises(AdoptionRefused, match=says):
        await adopt()

    await execute(engine, "DROP MATERIALIZED VIEW inventory.stock_metrics_view")
    assert "differs" not in await adopt()
