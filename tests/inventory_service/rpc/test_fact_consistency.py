"""CheckConsistency finds facts that do not come to what the ledger says."""

import pytest
from sqlalchemy import text

from inventory_service.persistence.daily_facts import SqlDailyFacts
from tests.inventory_service.client import Inventory
from tests.inventory_service.history import count_all, moved

pytestmark = pytest.mark.usefixtures("past_months")


async def change(inventory: Inventory, statement: str) -> None:
    """Changes rows as no service would."""
    async with inventory.engine.begin() as connection:
        await connection.execute(text(statement))


@pytest.mark.parametrize(
    ("statement", "repair", "finding"),
    [
        (
            "UPDATE analytics.daily_stock_fact SET received_quantity = 7 WHERE sku = 'A'",
            "UPDATE analytics.daily_stock_fact SET received_quantity = 4 WHERE sku = 'A'",
            "A: received_quantity of 2026-03-01 is 7, the sum of its movements is 4",
        ),
        (
            "UPDATE analytics.daily_stock_fact SET sold_quantity = 0 WHERE sku = 'A'",
            "UPDATE analytics.daily_stock_fact SET sold_quantity = 1 WHERE sku = 'A'",
            "A: sold_quantity of 2026-03-01 is 0, the sum of its movements is 1",
        ),
        (
            "UPDATE analytics.daily_stock_fact SET day = '2026-03-02' WHERE sku = 'B'",
            "UPDATE analytics.daily_stock_fact SET day = '2026-03-01' WHERE sku = 'B'",
            "B: returned_quantity of 2026-03-01 is 0, the sum of its movements is 2",
        ),
        (
            "INSERT INTO analytics.daily_stock_fact VALUES ('2026-05-05', 'B', 3, 0, 0, 0)",
            "DELETE FROM analytics.daily_stock_fact WHERE day = '2026-05-05'",
            "B: received_quantity of 2026-05-05 is 3, the sum of its movements is 0",
        ),
        (
            "UPDATE analytics.daily_status_fact SET returned_quantity = 1",
            "UPDATE analytics.daily_status_fact SET returned_quantity = 2",
            "2026-03-01: returned_quantity of 2026-03-01 is 1, the sum of those by sku is 2",
        ),
        (
            "INSERT INTO inventory.uncounted_movement"
            " VALUES ('2026-03-01 05:00Z', 0, 'B', 'in_stock', '', 'LOST', -1)",
            "DELETE FROM inventory.uncounted_movement WHERE movement_id = 0",
            "B: adjusted_quantity of 2026-03-01 is -1, the sum of its movements is 0",
        ),
    ],
)
async def test_facts_that_differ_from_the_ledger_are_found(
    inventory: Inventory, inventory_url: str, statement: str, repair: str, finding: str
) -> None:
    for sku in ("A", "B"):
        await inventory.create(sku)
    await moved(inventory, "A", 4, "RECEIVED", "2026-03-01T12:00:00+00:00")
    await moved(inventory, "A", -1, "SOLD", "2026-03-01T13:00:00+00:00")
    await moved(inventory, "B", 2, "RETURNED", "2026-03-01T12:00:00+00:00")
    assert await inventory.findings() == []
    await count_all(inventory_url)
    assert await inventory.findings() == []

    await change(inventory, statement)

    assert finding in await inventory.findings()
    await change(inventory, repair)


async def test_every_stock_of_a_day_is_looked_at_however_many_there_are(
    inventory: Inventory, inventory_url: str
) -> None:
    await change(
        inventory,
        "INSERT INTO inventory.stock (sku, quantity) SELECT 'S' || n, 1 FROM generate_series(1, 1234) n",
    )
    await change(
        inventory,
        "INSERT INTO inventory.stock_movement (create_time, stock_id, delta, reason, actor)"
        " SELECT '2026-03-01 12:00Z', id, 1, 'OPENING', 'test' FROM inventory.stock",
    )
    await count_all(inventory_url)
    await change(inventory, "UPDATE analytics.daily_stock_fact SET adjusted_quantity = 0, sold_quantity = 1")

    found = await inventory.findings()

    assert len([line for line in found if line.startswith("S")]) == 2468
    await change(inventory, "UPDATE analytics.daily_stock_fact SET adjusted_quantity = 1, sold_quantity = 0")


async def test_a_stock_with_more_movements_than_a_call_may_sum_is_looked_at_all_the_same(
    inventory: Inventory, inventory_url: str
) -> None:
    await inventory.create("A")
    await change(
        inventory,
        "INSERT INTO inventory.stock_movement (create_time, stock_id, delta, reason, actor)"
        " SELECT '2026-03-01 12:00Z', id, CASE n % 2 WHEN 0 THEN 1 ELSE -1 END, 'LOST', 'test'"
        " FROM inventory.stock CROSS JOIN generate_series(1, 20000) n",
    )
    await count_all(inventory_url)
    async with inventory.engine.connect() as connection:
        await connection.execute(text("SET LOCAL statement_timeout = '5ms'"))
        facts = SqlDailyFacts(connection)

        assert await facts.differences_by_stock(["A"]) == []


async def test_facts_of_a_month_that_left_the_ledger_stay_and_are_no_finding(
    inventory: Inventory, inventory_url: str
) -> None:
    await inventory.create("A")
    await moved(inventory, "A", 4, "RECEIVED", "2025-03-01T12:00:00+00:00")
    await moved(inventory, "A", -4, "LOST", "2025-03-01T12:00:00+00:00")
    await count_all(inventory_url)

    await change(inventory, "DELETE FROM inventory.stock_movement")
    assert len(await inventory.findings()) == 2

    await change(
        inventory, "INSERT INTO inventory.archived_month VALUES ('2025-03-01', 'file', 'hash', 2, 0, now())"
    )

    assert await inventory.findings() == []
