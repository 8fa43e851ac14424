"""Reconcile repairs each kind of drift that was planted, and touches nothing else."""

import asyncio
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from holdfast.delivery.v1 import package_pb2 as pb
from holdfast.ops.v1 import ops_pb2
from sqlalchemy import select

from delivery_service.application.stock_ports import Hold
from delivery_service.domain.evidence import photo_name
from delivery_service.persistence.tables import metadata, repairs
from tests.delivery_service.client import MERCHANT, Delivery
from tests.delivery_service.conftest import Running
from tests.delivery_service.rpc.reconciling import LONG_AGO, execute, reconcile
from tests.delivery_service.rpc.test_evidence import picture

# The suite plants a few of each kind; HOLDFAST_DRIFTS=50 is the campaign.
OF_EACH = int(os.environ.get("HOLDFAST_DRIFTS", "4"))
AT_ONCE = 8


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
        "legs free",
        "",
        "UPDATE tigu_prepare_goods_order SET active_leg = NULL WHERE prepare_goods_id IN {ids}",
    ),
    Planted(
        "legs taken",
        "CANCEL",
        "UPDATE tigu_prepare_goods_order SET active_leg = 0 WHERE prepare_goods_id IN {ids}",
    ),
    Planted(
        "state ahead", "PreparePackage", "UPDATE tigu_prepare_goods SET prepare_status = 5 WHERE {these}"
    ),
    Planted(
        "state behind", "PreparePackage", "UPDATE tigu_prepare_goods SET prepare_status = -1 WHERE {these}"
    ),
    Planted(
        "state aside", "PreparePackage", "UPDATE tigu_prepare_goods SET prepare_status = 3 WHERE {these}"
    ),
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
    Planted("command lost", "", "UPDATE tigu_prepare_goods SET stock_state = 1 WHERE {these}"),
    Planted("photo damaged", ""),
    Planted("photo damaged, copy there", ""),
    Planted("healthy", "DeliverPackage"),
)


async def test_every_planted_drift_is_found_and_repaired_and_nothing_else_is_touched(
    delivery: Delivery, running: Running
) -> None:
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
    await delivery.quiet(seconds=120)
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
    assert {row.caller for row in made} == {"system:tests"}


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
