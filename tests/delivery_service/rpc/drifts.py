"""Packages for each kind of drift, and drifts of holds and bytes, which no SQL makes."""

import asyncio
import os
import time
from collections.abc import Sequence

from delivery_service.application.stock_ports import Hold
from delivery_service.domain.evidence import photo_name
from tests.delivery_service.client import MERCHANT, Delivery
from tests.delivery_service.conftest import Running
from tests.delivery_service.rpc.reconciling import execute
from tests.delivery_service.rpc.test_evidence import picture
from tests.support.drifts import Planted, statement

# The suite plants one of each kind; HOLDFAST_DRIFTS=50 is the campaign.
OF_EACH = int(os.environ.get("HOLDFAST_DRIFTS", "1"))
AT_ONCE = 8


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


async def plant(delivery: Delivery, sql: str, sns: Sequence[str]) -> None:
    await execute(delivery, statement(sql, sns))
