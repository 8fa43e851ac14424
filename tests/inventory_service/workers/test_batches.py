"""A batch that the database fails: its guilty wishes alone are refused."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy.exc import DBAPIError

from inventory_service.domain.reservation import ReservationState
from inventory_service.workers.batches import MOST_WISHES
from servicekit.errors import ConcurrentUpdate
from tests.inventory_service.client import Inventory
from tests.inventory_service.workers.tills import Till, reserve, states

GUILTY = 8


@pytest.fixture
async def refusing(inventory: Inventory) -> AsyncIterator[None]:
    """The database fails at some reservations, whoever else is in their transaction: at once, or in its commit."""
    async with inventory.engine.begin() as connection:
        await connection.exec_driver_sql(
            "CREATE FUNCTION inventory.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " IF NEW.reservation_id LIKE 'conflict%' THEN RAISE EXCEPTION 'conflict' USING ERRCODE = '40001'; END IF;"
            " RAISE EXCEPTION 'poison' USING ERRCODE = 'XX001'; END $$"
        )
        await connection.exec_driver_sql(
            "CREATE TRIGGER refuse BEFORE INSERT ON inventory.reservation FOR EACH ROW"
            " WHEN (NEW.reservation_id ~ '^(poison|conflict)') EXECUTE FUNCTION inventory.refuse()"
        )
        await connection.exec_driver_sql(
            "CREATE CONSTRAINT TRIGGER refuse_late AFTER INSERT ON inventory.reservation DEFERRABLE INITIALLY DEFERRED"
            " FOR EACH ROW WHEN (NEW.reservation_id ~ '^late') EXECUTE FUNCTION inventory.refuse()"
        )
    yield
    async with inventory.engine.begin() as connection:
        await connection.exec_driver_sql("DROP FUNCTION inventory.refuse CASCADE")


@pytest.mark.usefixtures("refusing")
@pytest.mark.parametrize("skus", [["A"], ["A", "B"]], ids=["one sku", "two skus"])
@pytest.mark.parametrize("kind", ["poison", "conflict", "late"])
async def test_the_guilty_of_a_batch_are_refused_and_nobody_else(
    till: Till, inventory: Inventory, kind: str, skus: list[str]
) -> None:
    distance = MOST_WISHES // GUILTY
    wishes = [
        reserve(f"{'r' if number % distance else kind}{number}", skus[number % len(skus)])
        for number in range(MOST_WISHES)
    ]

    answers = await till.answers(*wishes)

    guilty = [answers.pop(number) for number in reversed(range(0, MOST_WISHES, distance))]
    assert all(
        isinstance(answer, ConcurrentUpdate if kind == "conflict" else DBAPIError) for answer in guilty
    )
    assert states(answers) == [ReservationState.HELD] * (MOST_WISHES - GUILTY)
    assert sum([(await inventory.levels(sku))[1] for sku in skus]) == MOST_WISHES - GUILTY
    # Most of them were answered with many others, however many times a batch had to be run again.
    assert len(till.batches) < MOST_WISHES
