"""Reconcile repairs each kind of drift that was planted, tells of each repair, and touches nothing else."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from holdfast.delivery.v1 import package_pb2 as pb
from holdfast.ops.v1 import ops_pb2
from sqlalchemy import select, text

from delivery_service.application.ports import Hold
from delivery_service.domain.evidence import photo_name
from delivery_service.persistence.tables import metadata, repairs
from tests.delivery_service.client import DISPATCHER, MERCHANT, SYSTEM, Delivery, Metadata, refused
from tests.delivery_service.conftest import Running
from tests.delivery_service.rpc.test_evidence import picture

OF_EACH = int(os.environ.get("HOLDFAST_DRIFTS", "50"))
AT_ONCE = 16
LONG_AGO = "UPDATE tigu_prepare_goods SET update_time = UTC_TIMESTAMP() - INTERVAL 1 HOUR"


@dataclass(frozen=True)
class Planted:
    """One kind of drift: on packages that went so far, by SQL over `:sns` and by hand for each."""

    name: str
    until: str
    sql: str = ""


KINDS = (
    Planted("order_ids differ", "", "UPDATE tigu_prepare_goods SET order_ids = '9, 9,x' WHERE {these}"),
    Planted("mapping lost", "", "DELETE FROM tigu_prepare_goods_order WHERE prepare_goods_id IN {ids}"),
    Planted(
        "legs free", "", "UPDATE tigu_prepare_goods_order SET active_leg = NULL WHERE prepare_goods_id IN {ids}"
    ),
    Planted(
        "legs taken",
        "CANCEL",
        "UPDATE tigu_prepare_goods_order SET active_leg = 0 WHERE prepare_goods_id IN {ids}",
    ),
    Planted("state ahead", "PreparePackage", "UPDATE tigu_prepare_goods SET prepare_status = 5 WHERE {these}"),
    Planted("state behind", "PreparePackage", "UPDATE tigu_prepare_goods SET prepare_status = -1 WHERE {these}"),
    Planted("state aside", "PreparePackage", "UPDATE tigu_prepare_goods SET prepare_status = 3 WHERE {these}"),
    Planted(
        "event lost", "PreparePackage", "DELETE FROM package_event WHERE sequence = 1 AND package_id IN {ids}"
    ),
    Planted(
        "proof unmarked",
        "PreparePackage",
        "UPDATE evidence SET used_sha256 = NULL, used_sequence = NULL WHERE package_id IN {ids}",
    ),
    Planted("reserve parked", "", "UPDATE outbox SET state = 3 WHERE package_id IN {ids}"),
    Planted("commit refused", "DeliverPackage"),
    Planted("hold gone", ""),
    Planted("hold of other lines", "PreparePackage"),
    Planted("hold not committed", "DeliverPackage"),
    Planted("commit booked nowhere", "DeliverPackage"),
    Planted("hold not released", "CANCEL"),
    Planted(
        "command lost", "", "UPDATE tigu_prepare_goods SET stock_state = 1 WHERE {these}"
    ),
    Planted("photo damaged", ""),
    Planted("photo damaged, copy there", ""),
    Planted("healthy", "DeliverPackage"),
)


async def test_every_planted_drift_is_found_and_repaired_and_nothing_else_is_touched(
    delivery: Delivery, running: Running
) -> None:
    for file in [path for path in running.photos.rglob("*") if path.is_file()]:
        file.unlink()
    planted = {kind.name: await packages(delivery, kind.until) for kind in KINDS}
    await delivery.quiet()
    await execute(delivery, LONG_AGO)
    healthy = planted["healthy"]
    for kind in KINDS:
        if kind.sql:
            await plant(delivery, kind.sql, planted[kind.name])
    orphans, strays = await plant_by_hand(delivery, running, planted)
    expected = OF_EACH * (len(KINDS) - 1) + len(orphans) + len(strays)
    right = await rows_of(delivery, healthy)
    before, holds, files = await delivery.everything(), dict(delivery.inventory.known), names(running.photos)

    would = await reconcile(delivery)

    assert await delivery.everything() == before
    assert (delivery.inventory.known, names(running.photos)) == (holds, files)
    assert not any(answer.repaired for answer in would)

    did = await reconcile(delivery, validate_only=False)

    assert [answer for answer in did if not answer.repaired] == []
    # What one repair brings about needs none of its own.
    assert set(map(told, did)) <= set(map(told, would))
    assert len(did) >= expected
    found = {answer.finding.subject for answer in did} | {
        answer.finding.facts.get("package_sn", "") for answer in did
    }
    for name, sns in planted.items():
        assert (set(sns) <= found) == (name != "healthy"), name
    assert set(orphans) | set(strays) <= found
    await delivery.quiet()
    assert await delivery.findings() == []
    assert await reconcile(delivery, validate_only=False) == []
    assert await rows_of(delivery, healthy) == right
    assert set(await delivery.events(healthy[0])) == {"CREATE", "PREPARE", "DELIVER"}
    for name in ("state ahead", "hold gone", "mapping lost", "photo damaged"):
        assert (await delivery.events(planted[name][0]))[-1] == "RECONCILE", name
    assert (await delivery.get(planted["state ahead"][0])).state == pb.PACKAGE_STATE_DELIVERED
    assert (await delivery.get(planted["state behind"][0])).state == pb.PACKAGE_STATE_PREPARED
    for name in ("state ahead", "commit refused", "commit booked nowhere", "hold not committed"):
        package = await delivery.get(planted[name][0])
        assert package.stock_state == pb.STOCK_STATE_COMMITTED
        assert delivery.inventory.known[package.reservation_id].state == "COMMITTED"
    async with delivery.engine.connect() as connection:
        made = (await connection.execute(select(repairs))).all()
    assert len(made) == len(did)
    assert {row.caller for row in made} == {"system:tests"} or {row.caller for row in made} == {"SYSTEM:tests"}


async def packages(delivery: Delivery, until: str) -> list[str]:
    """So many packages that came so far."""
    turns = asyncio.Semaphore(AT_ONCE)
    delivery.inventory.stock.setdefault("A", 1_000_000)

    async def one() -> str:
        async with turns:
            package = await delivery.create("MERCHANT_TO_USER")
            if until == "CANCEL":
                await delivery.move("CancelPackage", package.package_sn, by=MERCHANT, reason="no")
            elif until:
                await delivery.drive(package, until=until)
            return str(package.package_sn)

    return list(await asyncio.gather(*(one() for _ in range(OF_EACH))))


async def plant_by_hand(
    delivery: Delivery, running: Running, planted: dict[str, list[str]]
) -> tuple[list[str], list[str]]:
    """Drifts of holds and bytes; answers the names of holds and bytes that belong to nothing."""
    known = delivery.inventory.known
    for name, state, lines in (
        ("hold of other lines", "HELD", {"A": 1}),
        ("hold not committed", "HELD", {"A": 2}),
        ("hold not released", "HELD", {"A": 2}),
        ("commit refused", "RELEASED", {"A": 2}),
        ("commit booked nowhere", "RELEASED", {"A": 2}),
    ):
        for package_sn in planted[name]:
            known[f"{package_sn}:1"] = Hold(f"{package_sn}:1", state, lines)
    for package_sn in planted["hold gone"]:
        del known[f"{package_sn}:1"]
    refused = planted["commit refused"]
    await plant(delivery, "UPDATE tigu_prepare_goods SET stock_state = 4 WHERE {these}", refused)
    await plant(
        delivery, "UPDATE outbox SET state = 3 WHERE command = 'COMMIT' AND package_id IN {ids}", refused
    )
    for name in ("photo damaged", "photo damaged, copy there"):
        for package_sn in planted[name]:
            content = picture()
            photo = await delivery.upload(package_sn, "PREPARATION", content)
            if name != "photo damaged":
                await delivery.upload(package_sn, "DELIVERY", content)
            file = running.photos / photo_name(photo.sha256, photo.evidence_id)
            file.write_bytes(b"?" + file.read_bytes()[1:])
    strays = [photo_name(f"{number:064x}", "gone") for number in range(OF_EACH)]
    for stray in strays:
        (running.photos / stray).parent.mkdir(exist_ok=True)
        (running.photos / stray).write_bytes(b"x")
        os.utime(running.photos / stray, (time.time() - 100_000,) * 2)
    orphans = [f"lost:{number}" for number in range(OF_EACH)]
    known.update({orphan: Hold(orphan, "HELD", {"A": 1}) for orphan in orphans})
    return orphans, strays


async def plant(delivery: Delivery, statement: str, sns: Sequence[str]) -> None:
    these = "prepare_sn IN (" + ", ".join(f"'{package_sn}'" for package_sn in sns) + ")"
    chosen = f"(SELECT id FROM tigu_prepare_goods WHERE {these})"  # noqa: S608
    await execute(delivery, statement.format(these=these, ids=chosen))


async def execute(delivery: Delivery, statement: str) -> None:
    async with delivery.engine.begin() as connection:
        await connection.execute(text(statement))


async def reconcile(
    delivery: Delivery, *checks: str, by: Metadata = SYSTEM, **fields: object
) -> list[ops_pb2.ReconcileResponse]:
    request = ops_pb2.ReconcileRequest(checks=checks, **fields)  # type: ignore[arg-type]
    return [answer async for answer in delivery.ops.Reconcile(request, metadata=by, timeout=120)]


def told(answer: ops_pb2.ReconcileResponse) -> tuple[str, str, str]:
    return answer.finding.check, answer.finding.subject, answer.repair


def names(folder: Path) -> set[tuple[str, bytes]]:
    return {(str(path), path.read_bytes()) for path in folder.rglob("*") if path.is_file()}


async def rows_of(delivery: Delivery, sns: Sequence[str]) -> list[str]:
    """Everything that the database has of these packages."""
    async with delivery.engine.connect() as connection:
        packages = metadata.tables["tigu_prepare_goods"]
        mine = (await connection.execute(select(packages).where(packages.c.prepare_sn.in_(sns)))).all()
        ids = [row.id for row in mine]
        rows = [repr(row) for row in mine]
        for table in metadata.sorted_tables:
            for column in ("package_id", "prepare_goods_id", "prepare_id"):
                if column in table.c:
                    chosen = select(table).where(table.c[column].in_(ids))
                    rows += [repr(row) for row in await connection.execute(chosen)]
    return sorted(rows)


@pytest.mark.parametrize("by", [MERCHANT, ()], ids=["merchant", "nobody"])
async def test_only_operators_reconcile(delivery: Delivery, by: Metadata) -> None:
    async def call() -> None:
        await reconcile(delivery, by=by)

    refusal = await delivery.refused(call())

    assert refusal.reason == "CALLER_NOT_ALLOWED"


async def test_a_repair_is_told_with_who_asked_for_it(delivery: Delivery) -> None:
    package = await delivery.create("DRIVER_TO_USER", package_sn="PG1")
    await execute(delivery, "UPDATE tigu_prepare_goods SET order_ids = '1,2'")

    (answer,) = await reconcile(delivery, "mapping", by=DISPATCHER, validate_only=False)

    assert answer.repaired
    reply = await delivery.stub.ListPackageEvents(pb.ListPackageEventsRequest(package_sn="PG1"), timeout=10)
    event = reply.events[-1]
    assert (pb.Verb.Name(event.verb), event.actor_id, event.note) == (
        "VERB_RECONCILE",
        "control",
        "order_ids was '1,2' and is written from the mapping",
    )
    assert event.from_state == event.to_state == package.state


async def test_a_request_that_is_repeated_answers_its_repairs_and_makes_none(delivery: Delivery) -> None:
    await delivery.create("DRIVER_TO_USER", package_sn="PG1")
    damage = "UPDATE tigu_prepare_goods SET order_ids = '1,2'"
    await execute(delivery, damage)
    first = await reconcile(delivery, "mapping", validate_only=False, request_id="r1")
    await execute(delivery, damage)

    again = await reconcile(delivery, "mapping", validate_only=False, request_id="r1")

    assert again == first
    assert await delivery.findings("mapping") == ["PG1: mapping and order_ids differ"]

    async def other() -> None:
        await reconcile(delivery, "events", validate_only=False, request_id="r1")

    assert (await refused(other())).reason == "REQUEST_ID_REUSED"
    assert len(await reconcile(delivery, "mapping", validate_only=False, request_id="r2")) == 1


async def test_a_hold_that_changed_a_moment_ago_is_left_for_later(delivery: Delivery) -> None:
    package = await delivery.create("DRIVER_TO_USER", package_sn="PG1")
    del delivery.inventory.known[package.reservation_id]

    (answer,) = await reconcile(delivery, "reservations", validate_only=False)

    assert (answer.repaired, answer.repair) == (False, "not yet: the package changed within the last 33 s")
    assert await delivery.get("PG1") == package


@pytest.mark.parametrize("state", ["HELD", "RELEASED"])
async def test_goods_that_were_booked_out_too_early_are_left_to_people(delivery: Delivery, state: str) -> None:
    package = await delivery.create("MERCHANT_TO_USER", package_sn="PG1")
    if state == "RELEASED":
        await delivery.move("CancelPackage", "PG1", by=MERCHANT, reason="no")
    await delivery.stock_state("PG1", state)
    delivery.inventory.known[package.reservation_id] = Hold("PG1:1", "COMMITTED", {"A": 2})
    await execute(delivery, LONG_AGO)
    before = await delivery.everything()

    (answer,) = await reconcile(delivery, "reservations", validate_only=False)

    assert not answer.repaired
    assert answer.repair.startswith("left to people: inventory has booked")
    assert await delivery.everything() == before


async def test_without_inventory_only_what_needs_none_is_repaired(delivery: Delivery) -> None:
    await delivery.create("DRIVER_TO_USER", package_sn="PG1")
    await execute(delivery, "UPDATE tigu_prepare_goods SET order_ids = '1,2'")
    delivery.inventory.down = True

    answers = await reconcile(delivery, validate_only=False)

    assert [(answer.finding.subject, answer.repaired) for answer in answers] == [
        ("PG1", True),
        ("inventory", False),
    ]


async def test_stock_that_is_short_leaves_a_refused_commit_named_until_there_is_room(
    delivery: Delivery,
) -> None:
    package = await delivery.create("MERCHANT_TO_USER", package_sn="PG1")
    delivery.inventory.known[package.reservation_id] = Hold("PG1:1", "RELEASED", {"A": 2})
    await delivery.drive(await delivery.get("PG1"), until="DeliverPackage")
    await delivery.quiet()
    delivery.inventory.stock["A"] = 1
    assert await delivery.findings("outbox") == ["PG1: COMMIT was refused by inventory and is parked"]

    await reconcile(delivery, validate_only=False)
    await delivery.quiet()
    assert await delivery.findings("outbox") == ["PG1: COMMIT was refused by inventory and is parked"]
    delivery.inventory.stock["A"] = 7
    await reconcile(delivery, validate_only=False)

    await delivery.stock_state("PG1", "COMMITTED")
    assert delivery.inventory.stock["A"] == 5
    assert await delivery.findings() == []


async def test_repairs_in_the_midst_of_live_traffic_touch_nothing_that_moves(delivery: Delivery) -> None:
    delivery.inventory.stock["A"] = 1_000
    delivery.inventory.before_answer = lambda: asyncio.sleep(0.02)
    ended = asyncio.Event()

    async def repair() -> AsyncIterator[ops_pb2.ReconcileResponse]:
        while not ended.is_set():
            for answer in await reconcile(delivery, validate_only=False):
                yield answer

    async def journey(number: int) -> str:
        package = await delivery.create("MERCHANT_TO_USER")
        if number % 3 == 0:
            await delivery.move("CancelPackage", package.package_sn, by=MERCHANT, reason="no")
        else:
            await delivery.drive(package)
        return str(package.package_sn)

    async def traffic() -> list[str]:
        try:
            return list(await asyncio.gather(*(journey(number) for number in range(30))))
        finally:
            ended.set()

    async def repaired() -> list[ops_pb2.ReconcileResponse]:
        return [answer async for answer in repair()]

    sns, one, other = await asyncio.gather(traffic(), repaired(), repaired())

    assert [answer for answer in (*one, *other) if answer.repaired] == []
    await delivery.quiet()
    assert await delivery.findings() == []
    for package_sn in sns:
        assert "RECONCILE" not in await delivery.events(package_sn)
    assert delivery.inventory.stock["A"] == 1_000 - 20 * 2


async def test_two_that_repair_the_same_at_once_repair_it_once(delivery: Delivery) -> None:
    for number in range(1, 11):
        await delivery.create("DRIVER_TO_USER", package_sn=f"PG{number}")
    await execute(delivery, "UPDATE tigu_prepare_goods SET order_ids = '1,2', prepare_status = 0")

    both = await asyncio.gather(*(reconcile(delivery, validate_only=False) for _ in range(4)))

    made = [answer.finding.subject for answers in both for answer in answers if answer.repaired]
    assert len(made) == 20
    assert await delivery.findings() == []
