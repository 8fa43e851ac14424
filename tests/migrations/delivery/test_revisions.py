"""Each revision of the delivery schema up, down and up again with rows in it, on both engines."""

import itertools

import pytest

from delivery_service.persistence.tables import metadata
from servicekit.schema.migrations import Schema
from tests.migrations.delivery.legacy import (
    description,
    execute,
    migrating,
    rows,
    write_legacy,
    write_order,
)

REVISIONS = [revision.id for revision in Schema("delivery").history()]


def test_revisions_count_up_without_gaps() -> None:
    numbers = range(1, len(REVISIONS) + 1)
    assert [f"{number:04}" for number in numbers] == REVISIONS


async def test_every_revision_goes_up_down_and_up_again_and_keeps_what_the_old_application_wrote(
    delivery_url: str,
) -> None:
    async with migrating(delivery_url) as (schema, engine):
        await schema.upgrade(engine, "0001")
        await write_order(engine, 1)
        await write_legacy(engine, 1)
        for before, revision in itertools.pairwise(REVISIONS):
            empty = await description(engine)
            await schema.upgrade(engine, revision)
            made = await description(engine)
            await write_legacy(engine, int(revision) * 10, status=6)
            await schema.downgrade(engine, before)
            if revision != "0004":  # which leaves columns nullable, since rows may need it
                assert await description(engine) == empty
            await schema.upgrade(engine, revision)

            assert await description(engine) == made
            assert await schema.applied(engine) == revision

        statuses = await rows(engine, "SELECT id, prepare_status FROM tigu_prepare_goods ORDER BY id")
        assert statuses == [(1, None)] + [(int(revision) * 10, 6) for revision in REVISIONS[1:]]
        items = await rows(engine, "SELECT COUNT(*) FROM tigu_prepare_goods_item WHERE sku IS NULL")
        assert items == [(len(REVISIONS),)]
        assert await rows(
            engine, "SELECT prepare_goods_id FROM tigu_prepare_goods_order WHERE active_leg = 0"
        ) == [(1,)]


async def test_a_column_that_is_loosened_keeps_its_type_its_default_and_its_comment(
    delivery_url: str,
) -> None:
    wanted = {
        "order_item_id": ("int", "DEFAULT 7", "100% 'of the order': \\ as it was"),
        "product_id": ("bigint unsigned", "", "no default"),
        "sku_id": ("bigint", "DEFAULT (1 + 1)", ""),
    }
    async with migrating(delivery_url) as (schema, engine):
        await schema.upgrade(engine, "0001")
        for column, (kind, default, comment) in wanted.items():
            quoted = comment.replace("\\", "\\\\").replace("'", "''").replace(":", "\\:")
            change = f"MODIFY COLUMN {column} {kind} NOT NULL {default} COMMENT '{quoted}'"
            await execute(engine, f"ALTER TABLE tigu_prepare_goods_item {change}")
        query = (
            "SELECT column_name, column_type, column_default, column_comment FROM information_schema.columns"
            " WHERE table_schema = DATABASE() AND table_name = 'tigu_prepare_goods_item' AND is_nullable = '{}'"
            " AND column_name IN ('order_item_id', 'product_id', 'sku_id') ORDER BY column_name"
        )
        before = await rows(engine, query.format("NO"))

        await schema.upgrade(engine, "0004")

        told = await rows(engine, query.format("YES"))
        # MariaDB says of a column that may be NULL that NULL is its default.
        assert [(*row[:2], None if row[2] == "NULL" else row[2], row[3]) for row in told] == before
        assert [row[3] for row in told] == [comment for _, _, comment in wanted.values()]


async def test_everything_can_be_taken_back(delivery_url: str) -> None:
    async with migrating(delivery_url) as (schema, engine):
        await schema.upgrade(engine)
        await schema.downgrade(engine, "base")

        assert await description(engine) == {}


async def test_the_service_knows_the_tables_as_the_migrations_leave_them(delivery_url: str) -> None:
    async with migrating(delivery_url) as (schema, engine):
        await schema.upgrade(engine)
        described = await description(engine)
        for table in metadata.sorted_tables:
            found = {name: nullable for name, _, nullable in described[table.name]["columns"]}
            known = {column.name: bool(column.nullable) for column in table.columns}
            assert known.items() <= found.items(), table.name
            if not table.name.startswith("tigu_"):
                assert known == found, table.name


@pytest.mark.parametrize(
    ("table", "statement"),
    [
        ("tigu_prepare_goods_order", "INSERT INTO tigu_prepare_goods_order VALUES (1, 1, 2)"),
        (
            "package_event",
            "INSERT INTO package_event VALUES (1, 0, 'PREPARE', -1, 0, 'M', '1', NULL, '[]', '', NOW(6))",
        ),
        (
            "package_event",
            "INSERT INTO package_event VALUES (1, 1, 'PREPARE', -1, 8, 'M', '1', NULL, '[]', '', NOW(6))",
        ),
        (
            "outbox",
            "INSERT INTO outbox (event_id, package_id, package_sn, package_version, command, payload, trace,"
            " state, next_attempt_time, create_time) VALUES ('e', 1, 'P', 1, 'RESERVE', '{}', '', 1, NOW(6), NOW(6))",
        ),
        (
            "evidence",
            "INSERT INTO evidence (evidence_id, package_id, package_sn, kind, file_name, media_type, size_bytes,"
            " sha256, width, height, uploader, create_time)"
            " VALUES ('e', 1, 'P', 'ARRIVAL', '', '', 4194305, 'x', 1, 1, '', NOW(6))",
        ),
        (
            "evidence",
            "INSERT INTO evidence (evidence_id, package_id, package_sn, kind, file_name, media_type, size_bytes,"
            " sha256, used_sha256, width, height, uploader, create_time)"
            " VALUES ('e', 1, 'P', 'ARRIVAL', '', '', 1, 'x', 'y', 1, 1, '', NOW(6))",
        ),
    ],
    ids=["leg", "sequence", "status", "lease", "size", "digest"],
)
async def test_the_tables_themselves_refuse_what_must_not_be(
    delivery_url: str, table: str, statement: str
) -> None:
    async with migrating(delivery_url) as (schema, engine):
        await schema.upgrade(engine)

        with pytest.raises(Exception, match=r"(?i)constraint"):
            await execute(engine, statement)

        assert await rows(engine, f"SELECT COUNT(*) FROM {table}") == [(0,)]  # noqa: S608
