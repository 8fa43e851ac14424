"""What the split table says of listings and histories stands in the stocks, entry by entry, before it goes."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from servicekit.persistence.engines import create_engine
from tests.inventory_service.contract_steps.conftest import Contract, let_pass, picture
from tests.migrations.inventory.legacy import SCHEMA, STOCKS, execute, legacy_rows, rows
from tests.support.databases import fresh_database

TWICE = (
    '[{"platform":"goat","listing_id":"g1","listed_at":"2025-05-01T10:00:00+02:00"},'
    '{"platform":"goat","listing_id":"g1","listed_at":"2025-06-01","status":"delisted"}]'
)
OBJECT = '{"stockx": {"listing_id": "S7", "price": 9.90}, "ebay": true}'
WORDS = '"presale"'


@pytest.fixture
async def postgres_url() -> AsyncIterator[str]:
    """An empty database: these rows go through the consolidation."""
    async with fresh_database("postgres") as url:
        yield url


@pytest.fixture
async def engine(postgres_url: str) -> AsyncEngine:
    """A consolidated database whose split table has one offer twice, an object and a text."""
    engine = create_engine(postgres_url, pool_size=4, for_migrations=True)
    await legacy_rows(engine)
    for stock, listings, history in (("c", TWICE, None), ("d", OBJECT, WORDS)):
        await execute(
            engine,
            "INSERT INTO inventory.stock_lifecycle (stock_id, listed_on_platforms, status_history)"
            " VALUES (:id, CAST(:listings AS jsonb), CAST(:history AS jsonb))",
            id=STOCKS[stock],
            listings=listings,
            history=history,
        )
    await SCHEMA.upgrade(engine)
    await let_pass(engine, 15)
    return engine


async def test_an_offer_that_was_merged_with_its_like_is_accounted_for(
    contract: Contract, engine: AsyncEngine
) -> None:
    merged = f"SELECT jsonb_array_length(listed_on_platforms) FROM inventory.stock WHERE id = '{STOCKS['c']}'"  # noqa: S608
    assert await rows(engine, merged) == [(1,)]

    assert (await contract("drop-split-tables"))[0] == 0

    await let_pass(engine, 16)
    code, _, why = await contract("drop-backups", "--discard-data")
    assert code == 0, why


@pytest.mark.parametrize(
    ("column", "entry", "instead"),
    [
        ("listed_on_platforms", "S7", "S8"),
        ("listed_on_platforms", "ebay", "alias"),
        ("status_history", "presale", "sold"),
    ],
)
async def test_an_entry_that_is_gone_is_named_although_as_many_are_there_and_the_stock_was_changed(
    contract: Contract, engine: AsyncEngine, column: str, entry: str, instead: str
) -> None:
    await execute(
        engine,
        f"UPDATE inventory.stock SET {column} = replace({column}::text, :entry, :instead)::jsonb,"  # noqa: S608
        " updated_at = now() WHERE id = :id",
        entry=entry,
        instead=instead,
        id=STOCKS["d"],
    )
    before = await picture(engine)

    code, _, why = await contract("drop-split-tables")

    assert (code, await picture(engine)) == (1, before)
    complaint = next(line for line in why.splitlines() if line.startswith("stock_lifecycle has listings"))
    assert STOCKS["d"] in complaint and entry in complaint
