"""SIGKILL of both services at random while packages are created, delivered and cancelled."""

import asyncio
import time

from holdfast.delivery.v1 import package_pb2 as pb

from chaos.campaign import Campaign, Trial
from chaos.scene import findings
from tests.support.services import running_pair
from tests.support.town import Town, ids

CUSTOMERS = 6
PAUSE_SECONDS = (0.3, 1.2)
"""Between two kills; shorter than a relay's lease, so that leases are taken over."""
STUCK_SECONDS = 60.0


async def run(trial: Trial) -> None:
    """Customers go on through every kill; afterwards each acknowledged package must be where it was said to be."""
    async with running_pair(trial.engine, trial.folder) as pair:
        town = Town(pair)
        await town.found()
        units = 1_000_000
        sku = await town.stock(units)
        delivered: list[str] = []
        cancelled: list[str] = []

        async def customer() -> None:
            while trial.more:
                order_id = await town.insist(town.order, {sku: 1}, str(next(ids)))
                package = await town.insist(
                    town.create, town.package_request(pb.WORKFLOW_MERCHANT_TO_USER, order_id)
                )
                if trial.random.random() < 0.25:
                    await town.insist(town.cancel, package.package_sn)
                    cancelled.append(package.package_sn)
                else:
                    await town.stock_state(package.package_sn, pb.STOCK_STATE_HELD)
                    await town.drive(package)
                    delivered.append(package.package_sn)

        async def killer() -> None:
            while trial.more:
                await asyncio.sleep(trial.random.uniform(*PAUSE_SECONDS))
                victim = trial.random.choice((pair.delivery, pair.inventory))
                killed = time.monotonic()
                await victim.kill()
                await victim.start()
                trial.recoveries.append(time.monotonic() - killed)
                trial.faults[f"SIGKILL of {victim.service}"] += 1
                trial.attempted()

        await asyncio.gather(killer(), *(customer() for _ in range(CUSTOMERS)))
        trial.contention.update(
            {
                "calls repeated": town.repeated,
                "packages delivered": len(delivered),
                "cancelled": len(cancelled),
            }
        )
        await _settled(trial, town, delivered, pb.STOCK_STATE_COMMITTED)
        # Cancelled before inventory heard of it, or after.
        await _settled(trial, town, cancelled, pb.STOCK_STATE_RELEASED)
        left = await town.levels(sku)
        trial.require(
            left == (units - len(delivered), 0),
            f"{len(delivered)} units were delivered, the stock says {left}",
        )
        for channel in (town.inventory_channel, town.delivery_channel):
            trial.violations.extend(await findings(channel))
        await town.close()


async def _settled(trial: Trial, town: Town, packages: list[str], state: pb.StockState.ValueType) -> None:
    deadline = time.monotonic() + STUCK_SECONDS
    for package_sn in packages:
        try:
            await town.stock_state(package_sn, state, seconds=max(0.1, deadline - time.monotonic()))
        except AssertionError as stuck:
            trial.violations.append(str(stuck))


CAMPAIGN = Campaign(
    number=2,
    title="SIGKILL of the services and the relay under load",
    promises=(4, 9, 10, 13, 17),
    attempt="kills",
    short=40,
    long=500,
    run=run,
    contention=("calls repeated", "packages delivered", "cancelled"),
    engines=("mysql", "mariadb"),
    slowest_recovery=3.0,
)
