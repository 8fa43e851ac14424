"""Which columns may stand where others are expected."""

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from delivery_service.adoption.catalogue import Column, compare, tables_of, takes
from delivery_service.adoption.expectations import TABLES
from servicekit.adoption.shape import Difference, Verdict

PACKAGES = "tigu_prepare_goods"


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        ("bigint", "bigint unsigned"),
        ("bigint unsigned", "int"),
        ("int", "int signed"),
        ("varchar(80)", "varchar(64)"),
        ("text", "varchar(5000)"),
        ("decimal(17,2)", "decimal(15,2)"),
        ("decimal(18,4) unsigned", "decimal(15,2)"),
        ("mediumtext", "text"),
        ("longtext", "json"),
        ("timestamp(3)", "datetime"),
        ("datetime(6)", "datetime"),
    ],
)
def test_a_wider_type_takes_all_that_is_expected(found: str, wanted: str) -> None:
    assert takes(found, wanted)


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        ("int", "bigint unsigned"),
        ("int unsigned", "int signed"),
        ("tinyint", "int"),
        ("varchar(63)", "varchar(64)"),
        ("char(64)", "varchar(64)"),
        ("tinytext", "varchar(64)"),
        ("varchar(9000)", "text"),
        ("decimal(16,1)", "decimal(15,2)"),
        ("decimal(14,2)", "decimal(15,2)"),
        ("double", "decimal(15,2)"),
        ("text", "json"),
        ("date", "datetime"),
        ("bigint", "datetime"),
    ],
)
def test_a_narrower_type_does_not(found: str, wanted: str) -> None:
    assert not takes(found, wanted)


async def test_the_tables_of_revision_0001_are_as_expected(legacy: AsyncEngine) -> None:
    assert [it for name in TABLES for it in await differences(legacy, name)] == []


async def test_what_only_looks_different_is_no_difference(legacy: AsyncEngine) -> None:
    await change(legacy, "MODIFY prepare_status INT(11) NULL COMMENT 'of the old application'")
    assert await differences(legacy, PACKAGES) == []


async def test_a_difference_that_loses_nothing_is_told(legacy: AsyncEngine) -> None:
    await change(legacy, "MODIFY warehouse_id BIGINT NULL, ADD COLUMN remark VARCHAR(20) NULL")
    await change(
        legacy, "MODIFY receiver_name VARCHAR(64) CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci NULL"
    )
    told = await differences(legacy, PACKAGES)
    assert {found.verdict for found in told} == {Verdict.KEPT}
    assert [(found.subject, found.says) for found in told] == [
        (
            "receiver_name",
            "has the collation utf8mb3_general_ci, in which some signs of four bytes are refused",
        ),
        ("warehouse_id", "is bigint, bigint unsigned is expected"),
        ("remark", "is not expected, varchar(20)"),
    ]


async def test_a_column_that_cannot_serve_stops(legacy: AsyncEngine) -> None:
    await change(legacy, "DROP COLUMN settlement_status, MODIFY prepare_status INT UNSIGNED NULL")
    await change(legacy, "MODIFY driver_id BIGINT NOT NULL DEFAULT 0, MODIFY shop_id INT NOT NULL")
    await change(legacy, "ADD COLUMN region INT NOT NULL, ADD COLUMN twice INT AS (type * 2) STORED")
    await change(legacy, "MODIFY receiver_city VARCHAR(64) CHARACTER SET latin1 NULL")
    found = [it for it in await differences(legacy, PACKAGES) if it.verdict is Verdict.STOPS]
    assert [it.subject for it in found] == [
        *("prepare_status", "shop_id", "receiver_city", "settlement_status", "driver_id", "region"),
    ]


def test_a_column_that_makes_its_own_values_may_be_left_out() -> None:
    key = Column("id", "bigint unsigned", nullable=False, default=None, extra="auto_increment")
    expected = TABLES["tigu_driver"][:1]
    assert compare("tigu_driver", expected, {"id": key}) == []
    bare = Column("id", "bigint unsigned", nullable=False, default=None)
    assert [it.verdict for it in compare("tigu_driver", expected, {"id": bare})] == [Verdict.STOPS]


async def differences(engine: AsyncEngine, table: str) -> list[Difference]:
    async with engine.connect() as connection:
        return compare(table, TABLES[table], (await tables_of(connection))[table])


async def change(engine: AsyncEngine, actions: str) -> None:
    async with engine.begin() as connection:
        await connection.exec_driver_sql(f"ALTER TABLE {PACKAGES} {actions}")
