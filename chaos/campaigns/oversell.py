"""64 callers of two servers want more of one sku than there is."""

import itertools

import grpc

from chaos.campaign import Campaign, Trial, together
from chaos.scene import Inventories, inventories, one_unit
from tests.support.town import SYSTEM

CALLERS = 64
LAST_UNITS = 50
RACES = 20
"""Stocks of a few units, where every caller meets the last one; the rest of the attempts want one large stock."""


async def run(trial: Trial) -> None:
    """Races for a few units first, then one stock that is sold out."""
    async with inventories(2, trial.folder) as scene:
        won = [0, 0]
        waits: list[int] = []
        async with scene.watched_locks(waits):
            for race in range(RACES):
                await _sell_out(trial, scene, f"race-{race}", trial.random.randint(1, LAST_UNITS), won)
            await _sell_out(trial, scene, "hot", max(1, trial.size - trial.attempts), won)
        trial.contention.update({"lock waits": sum(waits), "units sold by the less lucky server": min(won)})
        trial.violations.extend(await scene.findings())


async def _sell_out(trial: Trial, scene: Inventories, sku: str, units: int, won: list[int]) -> None:
    await scene.stock(sku, units)
    numbers = itertools.count()
    sold: list[str] = []

    async def caller(index: int) -> None:
        server = index % len(scene.stubs)
        while trial.more:
            reservation_id = f"{sku}-{next(numbers)}"
            try:
                await scene.stubs[server].ReserveStock(
                    one_unit(reservation_id, sku), metadata=SYSTEM, timeout=30
                )
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.FAILED_PRECONDITION:
                    trial.violations.append(f"{reservation_id}: {error.code().name} {error.details()}")
                return
            finally:
                trial.attempted()
            sold.append(reservation_id)
            won[server] += 1

    await together(*(caller(index) for index in range(CALLERS)))
    quantity, reserved = await scene.levels(sku)
    trial.require(
        (quantity, reserved) == (units, len(sold)), f"{sku}: {len(sold)} sold, {reserved} of {units} reserved"
    )
    # Whoever stops because it was enough leaves some.
    trial.require(len(sold) == units or not trial.more, f"{sku}: {len(sold)} of {units} sold")


CAMPAIGN = Campaign(
    number=1,
    title="More callers than units, two servers",
    promises=(1,),
    attempt="reservations",
    short=20_000,
    long=1_000_000,
    run=run,
    contention=("lock waits", "units sold by the less lucky server"),
)
