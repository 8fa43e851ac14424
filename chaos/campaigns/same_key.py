"""50 copies of each wish at once over two servers, some of them with another content under the same id."""

import asyncio

import grpc
from holdfast.inventory.v1 import reservation_pb2

from chaos.campaign import Campaign, Trial, together
from chaos.scene import Inventories, inventories, one_unit
from tests.support.refusals import refusal
from tests.support.town import SYSTEM, UNKNOWN_OUTCOMES

COPIES = 50
IN_FLIGHT = 4
"""Keys at once, so that batches hold copies of several."""
LOOK_SECONDS = 0.002
"""One server waits for the other no longer than that has a batch in hand."""


async def run(trial: Trial) -> None:
    """Each key: one effect, equal answers, changed bodies refused, and a neighbour that never suffers."""
    async with inventories(2, trial.folder) as scene:
        await scene.stock("keys", 10 * trial.size)
        await scene.stock("neighbours", 10 * trial.size)
        waits: list[int] = []
        async with scene.watched_locks(waits, pause_seconds=LOOK_SECONDS):
            while trial.more:
                first = trial.attempts
                await together(*(_one_key(trial, scene, f"key-{first + n}") for n in range(IN_FLIGHT)))
                trial.attempted(IN_FLIGHT)
        trial.contention["lock waits"] = sum(waits)
        for sku in ("keys", "neighbours"):
            reserved = (await scene.levels(sku))[1]
            trial.require(
                reserved == trial.attempts, f"{sku}: {trial.attempts} wishes had {reserved} effects"
            )
        trial.violations.extend(await scene.findings())


async def _one_key(trial: Trial, scene: Inventories, key: str) -> None:
    changed = one_unit(key, "keys", holder="another")
    copies = [one_unit(key, "keys")] * COPIES
    neighbour = one_unit(f"{key}-neighbour", "neighbours")
    *told, beside = await asyncio.gather(
        *(_ask(scene, number, request) for number, request in enumerate([*copies, neighbour])),
    )
    reservations = {
        answer.SerializeToString() for answer in told if isinstance(answer, reservation_pb2.Reservation)
    }
    failed = [answer for answer in told if isinstance(answer, str)]
    trial.require(
        len(reservations) == 1 and not failed, f"{key}: {len(reservations)} answers, refused: {failed[:3]}"
    )
    trial.require(not isinstance(beside, str), f"{key}: its neighbour was refused: {beside}")
    refused = await _ask(scene, trial.random.randrange(2), changed)
    trial.require(refused == "RESERVATION_EXISTS", f"{key}: another content was answered with {refused}")


async def _ask(
    scene: Inventories, number: int, request: reservation_pb2.ReserveStockRequest
) -> reservation_pb2.Reservation | str:
    """The reservation, or the reason of the refusal; a caller repeats what it was not told for certain."""
    stub = scene.stubs[number % len(scene.stubs)]
    for _ in range(20):
        try:
            return (await stub.ReserveStock(request, metadata=SYSTEM, timeout=10)).reservation
        except grpc.aio.AioRpcError as error:
            if error.code() not in UNKNOWN_OUTCOMES:
                return refusal(error).reason
            await asyncio.sleep(0.05)
    return "never answered"


CAMPAIGN = Campaign(
    number=6,
    title="50 copies of each wish at once, two servers",
    promises=(4,),
    attempt="keys",
    short=40,
    long=200,
    run=run,
    contention=("lock waits",),
)
