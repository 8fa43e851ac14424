"""Reconcile: who may, what it repairs, what it leaves to people, and how it goes along with live traffic."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from holdfast.ops.v1 import ops_pb2
from sqlalchemy import select, text

from inventory_service.domain.ledger import LedgerMonth
from inventory_service.persistence.ledger_partitions import table_of
from inventory_service.persistence.tables import repair
from tests.inventory_service.client import DISPATCHER, SHOP, SYSTEM, Inventory, Metadata, refused
from tests.inventory_service.ledger import Ledger, without_next_month

UNCOUNTED = "UPDATE inventory.stock SET reserved_quantity = 0 WHERE sku = 'A'"


async def reconcile(
    inventory: Inventory, *checks: str, by: Metadata = DISPATCHER, **fields: object
) -> list[ops_pb2.ReconcileResponse]:
    request = ops_pb2.ReconcileRequest(checks=checks, **fields)  # type: ignore[arg-type]
    return [answer async for answer in inventory.ops.Reconcile(request, metadata=by, timeout=60)]


async def execute(inventory: Inventory, statement: str) -> None:
    """As nobody writes."""
    async with inventory.engine.begin() as connection:
        await connection.execute(text(statement))


async def some_holds(inventory: Inventory) -> None:
    """Of A 8 are there and 3 are held; of B 9 are there."""
    await inventory.create("A", 10)
    await inventory.create("B", 10)
    await inventory.reserve("r1", {"A": 2, "B": 1})
    await inventory.commit("r1")
    await inventory.reserve("r2", {"A": 3})


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (UNCOUNTED, "reserved_quantity was 0 and is 3"),
        (
            "UPDATE inventory.reservation_line SET open = true WHERE reservation_id = 'r1'",
            "lines of r1 are marked as their reservations are",
        ),
        (
            "UPDATE inventory.reservation_line SET open = false WHERE reservation_id = 'r2'",
            "lines of r2 are marked as their reservations are",
        ),
        (
            "UPDATE inventory.reservation SET state = 'RELEASED', resolve_time = now() WHERE reservation_id = 'r2'",
            "lines of r2 are marked as their reservations are; reserved_quantity was 3 and is 0",
        ),
    ],
    ids=["counter", "line of a resolved hold", "line of an open hold", "hold that ended past the service"],
)
async def test_what_follows_from_the_reservations_is_written_anew(
    inventory: Inventory, damage: str, told: str
) -> None:
    await some_holds(inventory)
    await execute(inventory, damage)
    damaged = await inventory.everything()

    proposed = await reconcile(inventory)
    assert {(answer.repair, answer.repaired) for answer in proposed if answer.finding.subject == "A"} == {
        (told, False)
    }
    assert await inventory.everything() == damaged

    made = await reconcile(inventory, validate_only=False)

    assert [(answer.repair, answer.repaired) for answer in made if answer.finding.subject == "A"] == [
        (told, True)
    ]
    assert await inventory.findings() == []
    assert await reconcile(inventory, validate_only=False) == []


async def test_it_is_on_record_who_had_what_repaired(inventory: Inventory) -> None:
    await some_holds(inventory)
    await execute(inventory, UNCOUNTED)

    await reconcile(inventory, "holds", validate_only=False, request_id="WHY-1")

    async with inventory.engine.connect() as connection:
        (record,) = (await connection.execute(select(repair))).all()
    assert (record.caller, record.request_id, record.check_name) == ("dispatcher:control", "WHY-1", "holds")
    assert (record.subject, record.repair) == ("A", "reserved_quantity was 0 and is 3")
    assert record.description == "reserved_quantity is 0, the sum of its open holds is 3"
    assert record.facts == {"reserved_quantity": "0", "counted": "3"}
    assert record.trace


async def test_an_alert_that_nobody_opened_is_opened(inventory: Inventory) -> None:
    await inventory.create("A", 10)
    await execute(
        inventory,
        "INSERT INTO inventory.stock_threshold (stock_id, threshold) SELECT id, 20 FROM inventory.stock",
    )

    (answer,) = await reconcile(inventory, "alerts", validate_only=False)

    assert (answer.repair, answer.repaired) == ("the stock is judged anew by its threshold", True)
    assert await inventory.findings() == []


@pytest.fixture
async def ledger(inventory: Inventory) -> AsyncIterator[Ledger]:
    """The ledger behind the service's back, with a stock P0."""
    ledger = Ledger(inventory.engine)
    await inventory.create("P0", 5)
    yield ledger
    await ledger.clear()


async def test_a_month_without_a_partition_is_given_one(inventory: Inventory, ledger: Ledger) -> None:
    month = LedgerMonth.of(datetime.now(UTC)).plus(1)
    await ledger.execute(f"DROP TABLE inventory.{table_of(month)}")
    await ledger.enter("P0", 2, month.start)

    tried = await reconcile(inventory, "partitions")
    missing = await inventory.findings()
    made = await reconcile(inventory, "partitions", validate_only=False)

    assert [answer.finding.description for answer in tried] == [
        f"the ledger has no partition for {month}",
        "1 movements have no partition of their own",
    ]
    assert not any(answer.repaired for answer in tried)
    assert missing != []
    assert [(answer.repair, answer.repaired) for answer in made] == [
        (f"the ledger has a partition for {month}", True)
    ]
    assert await inventory.findings() == []
    assert {place for place, *_ in await ledger.entries() if place.endswith(table_of(month))} != set()


async def test_months_that_no_partition_is_made_for_say_why(inventory: Inventory, ledger: Ledger) -> None:
    to_come = LedgerMonth.of(datetime.now(UTC)).plus(30)
    await ledger.enter("P0", 2, to_come.start)

    async with without_next_month(inventory.engine) as missing:
        answers = await reconcile(inventory, "partitions", validate_only=False)

    told = {answer.finding.subject: answer.repair for answer in answers}
    assert told == {
        missing.replace(
            "_", "-"
        ): "left to people: a table with the name of its partition is there and no part of the ledger",
        str(
            to_come
        ): "left to people: movements of an archived month are taken in by `inventory-service archive"
        " restore`; movements of months to come mean a clock that is wrong",
    }


async def test_what_cannot_be_repaired_says_why(inventory: Inventory) -> None:
    await some_holds(inventory)
    await execute(inventory, "UPDATE inventory.stock SET quantity = quantity + 1 WHERE sku = 'A'")
    await execute(
        inventory, "UPDATE inventory.reservation_line SET quantity = 20 WHERE reservation_id = 'r2'"
    )
    damaged = await inventory.everything()

    answers = await reconcile(inventory, "ledger", "holds", validate_only=False)

    told = {answer.finding.check: answer.repair for answer in answers}
    assert told["ledger"].startswith(
        "left to people: the quantity or a movement was changed past the service"
    )
    assert told["holds"] == (
        "left to people: open holds have 20 units of 9: ExplainAvailability names them; release some, or"
        " AdjustStock where the goods are there"
    )
    assert not any(answer.repaired for answer in answers)
    assert await inventory.everything() == damaged
    await execute(inventory, "UPDATE inventory.stock SET quantity = quantity - 1 WHERE sku = 'A'")
    await execute(inventory, "UPDATE inventory.reservation_line SET quantity = 3 WHERE reservation_id = 'r2'")


@pytest.mark.parametrize("by", [SHOP, SYSTEM, ()], ids=["merchant", "service", "nobody"])
async def test_only_operators_reconcile(inventory: Inventory, by: Metadata) -> None:
    async def call() -> None:
        await reconcile(inventory, by=by)

    refusal = await refused(call())

    assert refusal.reason == "CALLER_NOT_ALLOWED"
    assert refusal.metadata["allowed"] == "dispatcher"


async def test_who_has_records_repaired_says_who_it_is(inventory: Inventory) -> None:
    async def call() -> None:
        await reconcile(inventory, by=(("actor-role", "dispatcher"),))

    assert (await refused(call())).reason == "ACTOR_MISSING"


async def test_a_request_that_is_repeated_answers_its_repairs_and_makes_none(inventory: Inventory) -> None:
    await some_holds(inventory)
    await execute(inventory, UNCOUNTED)
    first = await reconcile(inventory, "holds", validate_only=False, request_id="r1")
    await execute(inventory, UNCOUNTED)

    assert await reconcile(inventory, "holds", validate_only=False, request_id="r1") == first

    assert await inventory.findings() != []
    await reconcile(inventory, "holds", validate_only=False)


async def test_beside_traffic_no_hold_is_lost_from_the_count(inventory: Inventory) -> None:
    await inventory.create("A", 10_000)
    await inventory.reserve("first", {"A": 1})
    going = True

    async def traffic(caller: int) -> int:
        number = 0
        while going:
            await inventory.reserve(f"t{caller}:{number}", {"A": 1})
            await (inventory.commit if number % 2 else inventory.release)(f"t{caller}:{number}")
            number += 1
        return number

    callers = [asyncio.create_task(traffic(caller)) for caller in range(8)]
    repaired = 0
    for _ in range(25):
        await execute(
            inventory, "UPDATE inventory.stock SET reserved_quantity = reserved_quantity + 5 WHERE sku = 'A'"
        )
        repaired += len(await reconcile(inventory, "holds", validate_only=False))
    going = False
    done = await asyncio.gather(*callers)

    assert repaired >= 25
    assert min(done) > 0
    await reconcile(inventory, "holds", validate_only=False)
    assert await inventory.findings() == []
