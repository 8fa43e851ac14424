"""Rows, holds and bytes put out of order, each kind in its own way, on packages that went so far."""

import asyncio
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass

from delivery_service.application.stock_ports import Hold
from delivery_service.domain.evidence import photo_name
from tests.delivery_service.client import MERCHANT, Delivery
from tests.delivery_service.conftest import Running
from tests.delivery_service.rpc.reconciling import execute
from tests.delivery_service.rpc.test_evidence import picture

# The suite plants one of each kind; HOLDFAST_DRIFTS=50 is the campaign.
OF_EACH = int(os.environ.get("HOLDFAST_DRIFTS", "1"))
AT_ONCE = 8


@dataclass(frozen=True)
class Planted:
    """One kind of drift: on packages that went so far, by SQL over `:sns` and by hand for each."""

    name: str
    until: str
    sql: str = ""
    workflow: str = "MERCHANT_TO_USER"


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
    Planted("record lost", "PreparePackage", "DELETE FROM evidence WHERE package_id IN {ids}"),
    Planted("reserve parked", "", "UPDATE outbox SET state = 3 WHERE package_id IN {ids}"),
    Planted("commit refused", "DeliverPackage"),
    Planted("hold gone", ""),
    Planted("hold of other lines", "PreparePackage"),
    Planted("hold not committed", "DeliverPackage"),
    Planted("commit booked nowhere", "DeliverPackage"),
    Planted("hold not released", "CANCEL"),
    Planted("command lost", "", "UPDATE tigu_prepare_goods SET stock_state = 1 WHERE {these}"),
    Planted(
        "rejected by hand",
        "PreparePackage",
        "UPDATE tigu_prepare_goods SET stock_state = 3, rejection_reason = 'x' WHERE {these}",
    ),
    Planted("timeline lost", "PreparePackage", "DELETE FROM package_event WHERE package_id IN {ids}"),
    Planted(
        "last event lost",
        "PreparePackage",
        "DELETE FROM package_event WHERE sequence = 2 AND package_id IN {ids}",
    ),
    Planted(
        "driver wiped",
        "PickUpPackage",
        "UPDATE tigu_prepare_goods SET driver_id = NULL WHERE {these}",
        "DRIVER_TO_USER",
    ),
    Planted(
        "driver came along",
        "PreparePackage",
        "UPDATE tigu_prepare_goods SET driver_id = 5 WHERE {these}",
        "DRIVER_TO_USER",
    ),
    Planted(
        "time of a step",
        "PreparePackage",
        "UPDATE tigu_prepare_goods SET prepare_time = '2001-01-01' WHERE {these}",
    ),
    Planted(
        "order seen elsewhere",
        "DeliverPackage",
        "UPDATE tigu_order SET order_status = 1, shipping_status = 3 WHERE id IN {orders}",
    ),
    Planted(
        "record and bytes differ",
        "PreparePackage",
        "UPDATE evidence SET capture_time = '2001-01-01', width = 1, latitude = 9 WHERE package_id IN {ids}",
    ),
    Planted(
        "marked for another event",
        "PreparePackage",
        "UPDATE evidence SET used_sequence = 99 WHERE package_id IN {ids}",
    ),
    Planted(
        "marked and not named",
        "PreparePackage",
        "UPDATE package_event SET evidence_ids = '[]' WHERE package_id IN {ids}",
    ),
    Planted(
        "id of the hold",
        "PreparePackage",
        "UPDATE tigu_prepare_goods SET reservation_id = CONCAT('x', prepare_sn) WHERE {these}",
    ),
    Planted(
        "stock forgotten", "DeliverPackage", "UPDATE tigu_prepare_goods SET stock_state = 0 WHERE {these}"
    ),
    Planted("photo damaged", ""),
    Planted("photo damaged, copy there", ""),
    Planted("healthy", "DeliverPackage"),
)


async def packages(delivery: Delivery, kind: Planted) -> list[str]:
    """So many packages that came so far."""
    turns = asyncio.Semaphore(AT_ONCE)
    delivery.inventory.stock.setdefault("A", 1_000_000)

    async def one() -> str:
        async with turns:
            package = await delivery.create(kind.workflow)
            if kind.until == "CANCEL":
                await delivery.move("CancelPackage", package.package_sn, by=MERCHANT, reason="no")
            elif kind.until:
                await delivery.drive(package, until=kind.until)
            return str(package.package_sn)

    return list(await asyncio.gather(*(one() for _ in range(OF_EACH))))


async def plant_by_hand(delivery: Delivery, running: Running, planted: dict[str, list[str]]) -> list[str]:
    """Drifts of holds and bytes; answers the names of holds, bytes and packages that belong to nothing."""
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
    gone = ", ".join(f"({10**12 + number}, {number + 1}, 0)" for number in range(OF_EACH))
    columns = "prepare_goods_id, order_id, active_leg"
    await execute(delivery, f"INSERT INTO tigu_prepare_goods_order ({columns}) VALUES {gone}")  # noqa: S608
    orphans = [f"lost:{number}" for number in range(OF_EACH)]
    known.update({orphan: Hold(orphan, "HELD", {"A": 1}) for orphan in orphans})
    return [*orphans, *strays, *(str(10**12 + number) for number in range(OF_EACH))]


async def plant(delivery: Delivery, statement: str, sns: Sequence[str]) -> None:
    these = "prepare_sn IN (" + ", ".join(f"'{package_sn}'" for package_sn in sns) + ")"
    chosen = f"(SELECT id FROM tigu_prepare_goods WHERE {these})"  # noqa: S608
    orders = f"(SELECT order_id FROM tigu_prepare_goods_order WHERE prepare_goods_id IN {chosen})"  # noqa: S608
    await execute(delivery, statement.format(these=these, ids=chosen, orders=orders))
