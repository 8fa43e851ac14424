"""Delivery is killed in the midst of its work and its database is lost: nobody will ever say whose its holds are.

Another delivery, with an empty database, finds each of them without a package, and gives it back when it is told to.
"""

import asyncio
import random

from google.protobuf.duration_pb2 import Duration
from holdfast.delivery.v1 import package_pb2 as pb
from holdfast.inventory.v1 import reservation_pb2
from holdfast.ops.v1 import ops_pb2

from chaos.campaign import Campaign, Trial
from delivery_service.gateways.inventory import HOLDER
from devtools.databases import create_database, drop_database
from devtools.journey import STEPS
from tests.support.services import Pair, migrate, running_pair
from tests.support.town import SYSTEM, Town, ids

CUSTOMERS = 6
UNITS = 1_000_000
LIFE_SECONDS = 1.5
"""So long at most, from when goods have left the shelf for the first time."""
QUIET_SECONDS = 30.0
"""So long at most holds are too young to be judged, of which the youngest needs some seconds."""


async def run(trial: Trial) -> None:
    """One delivery after the other, over one inventory."""
    async with running_pair(trial.engine, trial.folder) as pair:
        town = Town(pair)
        while trial.more:
            sku = await town.stock(UNITS)
            await _reserve_beside(town, sku)
            await _live_and_die(trial, town, sku)
            await _begin_anew(pair)
            await _give_back(trial, town, sku)
            trial.attempted()
        await town.close()


async def _reserve_beside(town: Town, sku: str) -> None:
    """A unit for somebody else who will come for it, and one for somebody who will not."""
    for seconds in (3_600, 1):
        await town.inventory.ReserveStock(
            reservation_pb2.ReserveStockRequest(
                reservation_id=f"R-{next(ids)}",
                holder="somebody",
                lines=[reservation_pb2.ReservationLine(sku=sku, quantity=1)],
                ttl=Duration(seconds=seconds),
            ),
            metadata=SYSTEM,
            timeout=10,
        )


async def _live_and_die(trial: Trial, town: Town, sku: str) -> None:
    await town.found()
    sold = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        customers = [group.create_task(_go_on(trial.random, town, sku, sold)) for _ in range(CUSTOMERS)]
        await sold.wait()
        await asyncio.sleep(trial.random.uniform(0, LIFE_SECONDS))
        await town.pair.delivery.kill()
        for customer in customers:
            customer.cancel()
    trial.faults["delivery lost with its database"] += 1


async def _go_on(chosen: random.Random, town: Town, sku: str, sold: asyncio.Event) -> None:
    """Package after package, each as far as it happens to come; some are cancelled."""
    while True:
        order_id = await town.insist(town.order, {sku: 1}, str(next(ids)))
        workflow = chosen.choice(list(STEPS))
        package = await town.insist(town.create, town.package_request(workflow, order_id))
        package = await town.stock_state(package.package_sn, pb.STOCK_STATE_HELD)
        last = chosen.choice(["", "CancelPackage", *(step.method for step in STEPS[workflow])])
        if last == "CancelPackage":
            await town.insist(town.cancel, package.package_sn)
        elif last:
            package = await town.drive(package, until=last)
            if package.stock_state != pb.STOCK_STATE_HELD:
                sold.set()


async def _begin_anew(pair: Pair) -> None:
    """The database is gone, and an empty one bears its name; the photos are there still, and nobody's."""
    await drop_database(pair.delivery_url)
    await create_database(pair.delivery_url)
    await migrate("delivery", pair.delivery_url)
    await pair.delivery.start()


async def _give_back(trial: Trial, town: Town, sku: str) -> None:
    """What is found is what is held; asking what would be done does nothing; then all of it is free again."""
    left = await _reservations(town, sku, reservation_pb2.RESERVATION_STATE_HELD)
    would = await _would_be_done(town)
    found = {answer.finding.subject for answer in would}
    trial.require(found == left, f"held and not found, or found and not held: {sorted(found ^ left)[:5]}")
    still = await _reservations(town, sku, reservation_pb2.RESERVATION_STATE_HELD)
    trial.require(still == left, "a dry run gave something back")
    did = await town.reconcile(town.delivery_channel, "reservations")
    trial.require(all(answer.repaired for answer in did), f"not repaired: {[each.repair for each in did]}")
    still = await _reservations(town, sku, reservation_pb2.RESERVATION_STATE_HELD)
    trial.require(not still, f"held after all: {sorted(still)[:5]}")
    sold = await _reservations(town, sku, reservation_pb2.RESERVATION_STATE_COMMITTED)
    wanted, levels = (UNITS - len(sold), 1), await town.levels(sku)
    trial.require(
        levels == wanted, f"{len(sold)} units were sold: {wanted} should be there, and {levels} are"
    )
    trial.violations.extend(await town.findings())
    trial.contention["holds left behind"] += len(left)
    trial.contention["units sold before"] += len(sold)


async def _would_be_done(town: Town) -> list[ops_pb2.ReconcileResponse]:
    """What a dry run tells, once every hold is old enough to be judged. Raises TimeoutError."""
    async with asyncio.timeout(QUIET_SECONDS):
        while True:
            would = await town.insist(
                town.reconcile, town.delivery_channel, "reservations", validate_only=True
            )
            if not any(answer.repair.startswith("not yet") for answer in would):
                return would
            await asyncio.sleep(0.5)


async def _reservations(town: Town, sku: str, state: reservation_pb2.ReservationState.ValueType) -> set[str]:
    """The ids of delivery's in this state, of this stock: fewer than a page, and of one unit each."""
    request = reservation_pb2.ListReservationsRequest(holder=HOLDER, sku=sku, state=state, page_size=1_000)
    found = await town.inventory.ListReservations(request, timeout=10)
    return {reservation.reservation_id for reservation in found.reservations}


CAMPAIGN = Campaign(
    number=24,
    title="Delivery lost for ever with its database, and another in its place",
    promises=(9, 12, 25),
    attempt="deliveries lost",
    short=5,
    long=100,
    run=run,
    contention=("holds left behind", "units sold before"),
    engines=("mysql", "mariadb"),
)
