"""An adopted package goes on to the end of its workflow, from whatever state the old system left it in.

Each engine takes two of the four workflows; HOLDFAST_ADOPTION_PACKAGES, whatever it says, has each take them all.
"""

import os
from pathlib import Path

import grpc
from holdfast.delivery.v1 import package_pb2 as pb
from sqlalchemy.ext.asyncio import AsyncEngine

from delivery_service.adoption.run import Dialect
from devtools.journey import CLAIM, STEPS, Step
from tests.delivery_service.adoption.conftest import Adopt
from tests.delivery_service.adoption.legacy_database import Legacy, lay_out
from tests.delivery_service.adoption.legacy_rows import PATHS
from tests.delivery_service.adoption.serving import served
from tests.delivery_service.client import DISPATCHER, MERCHANT, Delivery, actor
from tests.migrations.delivery.legacy import ORDER, ORDER_ITEM, execute, rows

OTHER_DRIVER = actor("driver", 6)
SHARES = {"mysql": ((0, 0), (1, 1)), "mariadb": ((0, 1), (1, 0))}
ALL = "HOLDFAST_ADOPTION_PACKAGES" in os.environ
TARGETS = {
    "PreparePackage": pb.PACKAGE_STATE_PREPARED,
    "ClaimPackage": pb.PACKAGE_STATE_PREPARED,
    "PickUpPackage": pb.PACKAGE_STATE_PICKED_UP,
    "ArriveAtWarehouse": pb.PACKAGE_STATE_AT_WAREHOUSE,
    "ReceivePackage": pb.PACKAGE_STATE_WAREHOUSE_RECEIVED,
    "ShipPackage": pb.PACKAGE_STATE_OUT_FOR_DELIVERY,
    "DeliverPackage": pb.PACKAGE_STATE_DELIVERED,
}


async def write(
    engine: AsyncEngine,
    dialect: Dialect,
    pair: tuple[int, int],
    status: int | None,
    *,
    leg: int = 0,
    order: int = 0,
    driver: int | None = None,
) -> str:
    """One package of the old application in the words of its dialect; an order of its own unless one is named."""
    if not order:
        order = await write_order(engine)
    number = "PG" + "".join(str(part or "N") for part in (*pair, status, leg, driver)) + f"-{order}"
    later = dialect is Dialect.OF_2025_12
    stored = {0: 6, 5: 7}.get(status or 0, status) if later and driver and status in (0, 5) else status
    warehouse = 3 if pair[1] == 0 or leg == 1 else None
    values = (
        number,
        str(order),
        pair[0],
        1 - pair[1] if later else pair[1],
        stored,
        leg,
        7,
        warehouse,
        driver,
    )
    await execute(
        engine,
        "INSERT INTO tigu_prepare_goods (prepare_sn, order_ids, delivery_type, shipping_type, prepare_status,"
        f" type, shop_id, warehouse_id, driver_id) VALUES {values}".replace("None", "NULL"),
    )
    await execute(
        engine,
        "INSERT INTO tigu_prepare_goods_item (prepare_id, order_item_id, product_id, sku_id, quantity)"
        f" SELECT id, {order}, 80, 90, 2 FROM tigu_prepare_goods WHERE prepare_sn = '{number}'",
    )
    return number


async def write_order(engine: AsyncEngine) -> int:
    """An order of two units of stock 90; answers its id, which is the id of its item too."""
    ((order,),) = await rows(engine, "SELECT COALESCE(MAX(id), 0) + 1 FROM tigu_order")
    await execute(engine, ORDER, id=order, sn=f"O{order}")
    await execute(engine, ORDER_ITEM, id=order, order=order)
    return int(order)


def left(package: pb.Package) -> list[Step]:
    """The steps that the package has before it."""
    steps = list(STEPS[package.workflow])
    if package.leg == 1:
        steps[0] = Step("PreparePackage", "warehouse", pb.EVIDENCE_KIND_PREPARATION)
    done = [number for number, step in enumerate(steps) if TARGETS.get(step.method) == package.state]
    steps = steps[done[0] + 1 :] if done else steps
    return [step for step in steps if step is not CLAIM or not package.driver_id]


async def to_the_end(delivery: Delivery, number: str) -> pb.Package:
    """Takes every step that is left."""
    package = await delivery.get(number)
    for step in left(package):
        package = await delivery.take(number, step)
    return package


async def write_legs(engine: AsyncEngine, dialect: Dialect) -> list[tuple[str, str]]:
    """Pairs of a package that waits in a warehouse and the one that carries its order on, in each of its states."""
    legs = []
    for status in (None, 0, 1, 5) if ALL else (None, 5):
        order = await write_order(engine)
        driver = 5 if status in (1, 5) else None
        # Its driver tells this package from the others of its state.
        first = await write(engine, dialect, (1, 0), 3, order=order, driver=order)
        legs.append((first, await write(engine, dialect, (1, 1), status, leg=1, order=order, driver=driver)))
    return legs


async def test_a_package_of_each_workflow_and_leg_goes_on_from_each_of_its_states(
    engine: AsyncEngine, adopt: Adopt, delivery_engine: str, delivery_url: str, tmp_path: Path
) -> None:
    dialect = Dialect.PHASE_6 if delivery_engine == "mysql" else Dialect.OF_2025_12
    await lay_out(engine, Legacy(packages=0))
    numbers = []
    for pair in PATHS if ALL else SHARES[delivery_engine]:
        for status in PATHS[pair][:-2]:
            carried = pair[0] == 1 and status not in (None, 0)
            numbers.append(await write(engine, dialect, pair, status, driver=5 if carried else None))
    claimed = [await write(engine, dialect, pair, 0, driver=5) for pair in ((1, 0), (1, 1))]
    lost = await write(engine, dialect, (1, 0), 1)
    retried = await write(engine, dialect, (1, 1), None, driver=5)
    legs = await write_legs(engine, dialect)
    # Of an order that another active package keeps, with a driver who has nothing to do; and of no order at all.
    ((shared,),) = await rows(engine, f"SELECT order_ids FROM tigu_prepare_goods WHERE prepare_sn = '{lost}'")
    odd = [
        await write(
            engine, dialect, (0, 1), 0, order=int(shared), driver=8 if dialect is Dialect.PHASE_6 else None
        )
    ]
    odd.append(await write(engine, dialect, (0, 1), None, order=999_999, driver=9))
    await adopt(dialect=dialect, time_zone="Europe/Berlin", without_backup=True)

    async with served(delivery_url, engine, tmp_path / "photos") as delivery:
        for number in claimed:
            refusal = await delivery.refused(delivery.move("ClaimPackage", number, by=OTHER_DRIVER))
            assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "PACKAGE_CLAIMED")
        await delivery.move("AssignDriver", lost, by=DISPATCHER, driver_id="5")
        delivery.inventory.stock["90"] = 5
        await delivery.stub.RetryReservation(
            pb.RetryReservationRequest(package_sn=retried), metadata=MERCHANT, timeout=10
        )
        for number in [*numbers, *claimed, lost, retried, *odd, *(second for _, second in legs)]:
            package = await to_the_end(delivery, number)
            assert package.state == pb.PACKAGE_STATE_COMPLETED, number
            assert (package.stock_state == pb.STOCK_STATE_NOT_TRACKED) is (number != retried)
        for first, _ in legs:
            ended = await delivery.move("CompletePackage", first, by=MERCHANT)
            assert ended.state == pb.PACKAGE_STATE_COMPLETED
        assert (await delivery.stock_state(retried, "COMMITTED")).attempt == 1
        assert delivery.inventory.stock["90"] == 3
        assert await delivery.findings() == []
