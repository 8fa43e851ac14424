"""Reconcile repairs each kind of drift that was planted, and touches nothing else."""

from collections.abc import Sequence
from pathlib import Path

from holdfast.delivery.v1 import package_pb2 as pb
from holdfast.ops.v1 import ops_pb2
from sqlalchemy import select

from delivery_service.persistence.tables import metadata, repairs
from tests.delivery_service.client import DRIVER_ID, Delivery
from tests.delivery_service.conftest import Running
from tests.delivery_service.rpc.drifts import OF_EACH, packages, plant, plant_by_hand
from tests.delivery_service.rpc.reconciling import execute, reconcile
from tests.support.drifts import KINDS, LONG_AGO


async def test_every_planted_drift_is_found_and_repaired_and_nothing_else_is_touched(
    delivery: Delivery, running: Running
) -> None:
    planted = {kind.name: await packages(delivery, kind) for kind in KINDS}
    await delivery.quiet()
    await execute(delivery, LONG_AGO)
    healthy = planted["healthy"]
    for kind in KINDS:
        if kind.sql:
            await plant(delivery, kind.sql, planted[kind.name])
    lost = await plant_by_hand(delivery, running, planted)
    expected = OF_EACH * (len(KINDS) - 1) + len(lost)
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
        subjects = await orders_of(delivery, sns) if name == "order seen elsewhere" else sns
        assert set(subjects) <= found or name == "healthy", name
    assert not set(healthy) & found
    assert set(lost) <= found
    await delivery.quiet(seconds=120)
    assert await delivery.findings() == []
    assert await reconcile(delivery, validate_only=False) == []
    assert await rows_of(delivery, healthy) == right
    assert set(await delivery.events(healthy[0])) == {"CREATE", "PREPARE", "DELIVER"}
    for name in ("state ahead", "hold gone", "mapping lost", "order seen elsewhere", "photo damaged"):
        assert (await delivery.events(planted[name][0]))[-1] == "RECONCILE", name
    assert (await delivery.get(planted["state ahead"][0])).state == pb.PACKAGE_STATE_DELIVERED
    assert (await delivery.get(planted["state behind"][0])).state == pb.PACKAGE_STATE_PREPARED
    for name in ("state ahead", "commit refused", "commit booked nowhere", "hold not committed"):
        package = await delivery.get(planted[name][0])
        assert package.stock_state == pb.STOCK_STATE_COMMITTED
        assert delivery.inventory.known[package.reservation_id].state == "COMMITTED"
    assert (await delivery.get(planted["driver wiped"][0])).driver_id == DRIVER_ID
    assert (await delivery.get(planted["driver came along"][0])).driver_id == DRIVER_ID
    for name in ("timeline lost", "last event lost", "marked and not named"):
        named = await photos_of(delivery, planted[name][0])
        assert len(named) == 1, name
    async with delivery.engine.connect() as connection:
        made = (await connection.execute(select(repairs))).all()
    assert len(made) == len(did)
    assert {row.caller for row in made} == {"dispatcher:control"}


async def orders_of(delivery: Delivery, sns: list[str]) -> list[str]:
    return [order_id for package_sn in sns for order_id in (await delivery.get(package_sn)).order_ids]


async def photos_of(delivery: Delivery, package_sn: str) -> list[str]:
    """Those that the timeline names."""
    request = pb.ListPackageEventsRequest(package_sn=package_sn)
    reply = await delivery.stub.ListPackageEvents(request, timeout=10)
    return [photo for event in reply.events for photo in event.evidence_ids]


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
