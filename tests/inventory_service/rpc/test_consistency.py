"""CheckConsistency finds what was damaged behind the service's back."""

import pytest
from holdfast.ops.v1 import ops_pb2
from sqlalchemy import text

from tests.inventory_service.client import Inventory


async def damage(inventory: Inventory, statement: str) -> None:
    """Changes rows as no service would."""
    async with inventory.engine.begin() as connection:
        await connection.execute(text(statement))


@pytest.mark.parametrize(
    ("statement", "repair", "finding"),
    [
        (
            "UPDATE inventory.stock SET quantity = quantity + 1 WHERE sku = 'A'",
            "UPDATE inventory.stock SET quantity = quantity - 1 WHERE sku = 'A'",
            "A: quantity is 9, the sum of its movements is 8",
        ),
        (
            "UPDATE inventory.stock_movement SET delta = -7 WHERE delta = -2",
            "UPDATE inventory.stock_movement SET delta = -2 WHERE delta = -7",
            "A: quantity is 8, the sum of its movements is 3",
        ),
        (
            "UPDATE inventory.stock SET reserved_quantity = 0 WHERE sku = 'A'",
            "UPDATE inventory.stock SET reserved_quantity = 3 WHERE sku = 'A'",
            "A: reserved_quantity is 0, the sum of its open holds is 3",
        ),
        (
            "UPDATE inventory.reservation_line SET open = true WHERE quantity = 2",
            "UPDATE inventory.reservation_line SET open = false WHERE quantity = 2",
            "A: open_lines is 5, the sum of those of open holds is 3",
        ),
        (
            "UPDATE inventory.reservation_line SET open = false WHERE quantity = 3",
            "UPDATE inventory.reservation_line SET open = true WHERE quantity = 3",
            "A: reserved_quantity is 3, the sum of its open holds is 0",
        ),
        (
            "UPDATE inventory.reservation SET state = 'RELEASED', resolve_time = now()"
            " WHERE reservation_id = 'r2'",
            "UPDATE inventory.reservation SET state = 'HELD', resolve_time = NULL"
            " WHERE reservation_id = 'r2'",
            "A: reserved_quantity is 3, the sum of its open holds is 0",
        ),
    ],
)
async def test_what_does_not_add_up_is_found(
    inventory: Inventory, statement: str, repair: str, finding: str
) -> None:
    await inventory.create("A", 10)
    await inventory.create("B", 10)
    await inventory.reserve("r1", {"A": 2, "B": 1})
    await inventory.commit("r1")
    await inventory.reserve("r2", {"A": 3})
    assert await inventory.findings() == []

    await damage(inventory, statement)

    assert finding in await inventory.findings()
    await damage(inventory, repair)


async def test_every_stock_is_looked_at_however_many_there_are(inventory: Inventory) -> None:
    await damage(
        inventory,
        "INSERT INTO inventory.stock (sku, quantity) SELECT 'S' || n, 1 FROM generate_series(1, 1234) n",
    )

    assert len(await inventory.findings()) == 1234
    await damage(inventory, "UPDATE inventory.stock SET quantity = 0")


async def test_the_schema_is_the_last_defence_against_overselling(inventory: Inventory) -> None:
    await inventory.create("A", 5)
    await inventory.reserve("r1", {"A": 3})
    before = await inventory.everything()

    for column, value in (("reserved_quantity", 6), ("reserved_quantity", -1), ("quantity", 2)):
        with pytest.raises(Exception, match="ck_stock_reserved_quantity"):
            await damage(inventory, f"UPDATE inventory.stock SET {column} = {value}")  # noqa: S608

    assert await inventory.everything() == before


@pytest.mark.parametrize("seconds", [None, 30])
async def test_a_check_may_outlast_every_other_call(
    inventory: Inventory, monkeypatch: pytest.MonkeyPatch, seconds: float | None
) -> None:
    monkeypatch.setattr("servicekit.rpc.calls.CALL_CAP_SECONDS", 0.0)
    monkeypatch.setattr("servicekit.rpc.calls.STREAM_CAP_SECONDS", 0.0)

    found = inventory.ops.CheckConsistency(ops_pb2.CheckConsistencyRequest(), timeout=seconds)

    assert [answer.finding async for answer in found] == []
