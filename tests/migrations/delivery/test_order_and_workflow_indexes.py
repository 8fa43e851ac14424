"""0002: online, checked before and after, safe to run again."""

from typing import Any

import pytest
from sqlalchemy import event

from tests.migrations.delivery.legacy import description, execute, migrating

BOTH = {
    ("idx_order_ids", ("order_ids",), False),
    ("idx_delivery_shipping", ("delivery_type", "shipping_type"), False),
}


async def test_both_indexes_are_added_online_and_the_order_table_is_not_altered(delivery_url: str) -> None:
    async with migrating(delivery_url) as (schema, engine):
        await schema.upgrade(engine, "0001")
        altered: list[str] = []

        def note(_c: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
            if statement.startswith("ALTER"):
                altered.append(statement)

        event.listen(engine.sync_engine, "before_cursor_execute", note)
        await schema.upgrade(engine, "0002")

        found = (await description(engine))["tigu_prepare_goods"]["indexes"]
        assert set(found) >= BOTH
    assert len(altered) == 2
    assert all("tigu_prepare_goods ADD INDEX" in statement for statement in altered)
    assert all("ALGORITHM=INPLACE, LOCK=NONE" in statement for statement in altered)


async def test_an_index_that_is_not_there_after_it_was_added_fails_the_revision(delivery_url: str) -> None:
    async with migrating(delivery_url) as (schema, engine):
        await schema.upgrade(engine, "0001")

        def lose(_c: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> tuple[str, Any]:
            lost = statement.startswith("ALTER") and "ADD INDEX idx_delivery_shipping" in statement
            return ("DO 0" if lost else statement), parameters

        event.listen(engine.sync_engine, "before_cursor_execute", lose, retval=True)
        with pytest.raises(Exception, match="idx_delivery_shipping was added and is not there"):
            await schema.upgrade(engine, "0002")

        assert await schema.applied(engine) == "0001"
        event.remove(engine.sync_engine, "before_cursor_execute", lose)
        await schema.upgrade(engine, "0002")
        assert set((await description(engine))["tigu_prepare_goods"]["indexes"]) >= BOTH


async def test_indexes_that_are_there_already_are_left_alone(delivery_url: str) -> None:
    async with migrating(delivery_url) as (schema, engine):
        await schema.upgrade(engine, "0001")
        await execute(engine, "ALTER TABLE tigu_prepare_goods ADD INDEX idx_order_ids (order_ids(100))")

        await schema.upgrade(engine, "0002")

        assert set((await description(engine))["tigu_prepare_goods"]["indexes"]) >= BOTH


@pytest.mark.parametrize(
    "obstacle",
    [
        "ALTER TABLE tigu_prepare_goods ADD INDEX idx_order_ids (order_ids(50))",
        "ALTER TABLE tigu_prepare_goods ADD INDEX idx_delivery_shipping (shipping_type, delivery_type)",
        "ALTER TABLE tigu_prepare_goods DROP COLUMN shipping_type",
        "DROP TABLE tigu_order",
    ],
)
async def test_a_database_that_is_not_as_expected_stops_it_before_any_change(
    delivery_url: str, obstacle: str
) -> None:
    async with migrating(delivery_url) as (schema, engine):
        await schema.upgrade(engine, "0001")
        await execute(engine, obstacle)
        before = await description(engine)

        with pytest.raises(Exception, match=r"missing|lacks|is there as"):
            await schema.upgrade(engine, "0002")

        assert await description(engine) == before
        assert await schema.applied(engine) == "0001"
