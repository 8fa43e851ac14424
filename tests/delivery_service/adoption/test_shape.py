"""Which shape a database is, and what of it cannot be adopted."""

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from delivery_service.adoption.expectations import TABLES, TAKEN_COLUMNS, TAKEN_INDEXES, TAKEN_TABLES
from delivery_service.adoption.indexes import indexes_of
from delivery_service.adoption.shape import Kind, Shape, recognise
from servicekit.adoption.shape import Verdict
from servicekit.schema.migrations import VERSION_TABLE
from servicekit.schema.schema_history import HISTORY_TABLE
from tests.delivery_service.adoption.conftest import SCHEMA

PACKAGES = "tigu_prepare_goods"
ORDER_IDS = "ADD INDEX idx_order_ids (order_ids(100))"
WORKFLOW = "ADD INDEX idx_delivery_shipping (delivery_type, shipping_type)"


async def test_an_empty_database_is_none_to_adopt(engine: AsyncEngine) -> None:
    assert (await look(engine)).kind is Kind.EMPTY


async def test_a_database_without_packages_is_a_stranger_s(engine: AsyncEngine) -> None:
    await do(engine, "CREATE TABLE tigu_order (id BIGINT PRIMARY KEY)")
    assert (await look(engine)).kind is Kind.FOREIGN


async def test_a_migrated_database_is_ours_already(engine: AsyncEngine) -> None:
    await SCHEMA.upgrade(engine, "0001")
    assert (await look(engine)).kind is Kind.OURS


@pytest.mark.parametrize(
    ("actions", "kind", "missing"),
    [
        (None, Kind.BEFORE, ["idx_order_ids", "idx_delivery_shipping"]),
        (ORDER_IDS, Kind.HALF_WAY, ["idx_delivery_shipping"]),
        (WORKFLOW, Kind.HALF_WAY, ["idx_order_ids"]),
        (f"{ORDER_IDS}, {WORKFLOW}", Kind.AFTER, []),
    ],
)
async def test_phase_6_is_recognised_by_its_two_indexes(
    legacy: AsyncEngine, actions: str | None, kind: Kind, missing: list[str]
) -> None:
    if actions:
        await alter(legacy, actions)
    shape = await look(legacy)
    assert (shape.kind, shape.missing, shape.differences) == (kind, missing, [])


@pytest.mark.parametrize(
    "index",
    [
        "idx_order_ids (order_ids(99))",
        "idx_order_ids (prepare_sn)",
        "idx_delivery_shipping (shipping_type, delivery_type)",
        "idx_delivery_shipping (delivery_type)",
        "idx_delivery_shipping (delivery_type, shipping_type DESC)",
    ],
)
async def test_an_index_of_phase_6_on_something_else_stops(legacy: AsyncEngine, index: str) -> None:
    await alter(legacy, f"ADD INDEX {index}")
    (stop,) = (await look(legacy)).stops
    assert stop.subject == index.split(" ")[0] and "rename or drop it" in stop.says


async def test_a_hidden_or_unique_index_is_not_that_of_phase_6(
    legacy: AsyncEngine, delivery_engine: str
) -> None:
    await alter(legacy, "ADD UNIQUE INDEX idx_delivery_shipping (delivery_type, shipping_type)")
    await alter(legacy, f"{ORDER_IDS} {'INVISIBLE' if delivery_engine == 'mysql' else 'IGNORED'}")
    assert [stop.subject for stop in (await look(legacy)).stops] == ["idx_delivery_shipping", "idx_order_ids"]


async def test_what_serves_nobody_s_end_stops_by_its_name(legacy: AsyncEngine) -> None:
    await alter(legacy, "DROP INDEX uq_prepare_sn, ADD FULLTEXT INDEX words (receiver_address)")
    await do(legacy, "ALTER TABLE tigu_order_action ENGINE=MyISAM")
    await do(legacy, "ALTER TABLE tigu_order_item ROW_FORMAT=COMPRESSED")
    await do(legacy, "DROP TABLE tigu_driver")
    await do(legacy, "CREATE TABLE outbox (id BIGINT PRIMARY KEY)")
    await alter(legacy, "ADD COLUMN version INT NULL, ADD INDEX idx_prepare_goods_shop (receiver_name)")
    stops = {(stop.table, stop.subject) for stop in (await look(legacy)).stops}
    assert stops == {
        *((PACKAGES, name) for name in ("prepare_sn", "words", "version", "idx_prepare_goods_shop")),
        *((name, "*") for name in ("tigu_order_action", "tigu_order_item", "tigu_driver", "outbox")),
    }


async def test_what_others_added_is_told_and_stays(legacy: AsyncEngine) -> None:
    await alter(legacy, "ADD COLUMN remark TEXT NULL, ADD INDEX idx_phone (receiver_phone)")
    await do(legacy, "CREATE TABLE tigu_coupon (id BIGINT PRIMARY KEY)")
    await do(legacy, "CREATE TRIGGER stamp BEFORE UPDATE ON tigu_order FOR EACH ROW SET NEW.pay_status = 1")
    shape = await look(legacy)
    assert shape.further == ["tigu_coupon"]
    assert {(found.table, found.subject) for found in shape.differences} == {
        (PACKAGES, "remark"),
        (PACKAGES, "idx_phone"),
        ("tigu_order", "stamp"),
    }
    assert all(found.verdict is Verdict.KEPT for found in shape.differences)


async def test_the_names_that_the_upgrade_gives_are_all_known(legacy: AsyncEngine) -> None:
    before = await look(legacy)
    async with legacy.connect() as connection:
        indexes = await indexes_of(connection)
    await SCHEMA.upgrade(legacy)
    after = await look(legacy)
    async with legacy.connect() as connection:
        added = {
            table: set(names) - set(indexes.get(table, ()))
            for table, names in (await indexes_of(connection)).items()
        }
    of_adoption = {"adoption", "adoption_step", "adoption_row", "adoption_restore"}
    assert set(after.tables) - {*TABLES, VERSION_TABLE, HISTORY_TABLE} == set(TAKEN_TABLES) - of_adoption
    for table in TABLES:
        assert set(after.tables[table]) - set(before.tables[table]) == set(TAKEN_COLUMNS.get(table, ()))
        taken = {*TAKEN_INDEXES.get(table, ()), "idx_order_ids", "idx_delivery_shipping"}
        assert added[table] <= taken


async def look(engine: AsyncEngine) -> Shape:
    async with engine.connect() as connection:
        return await recognise(connection)


async def alter(engine: AsyncEngine, actions: str) -> None:
    await do(engine, f"ALTER TABLE {PACKAGES} {actions}")


async def do(engine: AsyncEngine, statement: str) -> None:
    async with engine.begin() as connection:
        await connection.exec_driver_sql(statement)
