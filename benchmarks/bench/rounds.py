"""Rows of a panel in turns: each round in another order, each turn watched and its books compared."""

import asyncio
import random
from collections.abc import Callable, Collection, Mapping, Sequence

from benchmarks.bench.processor import foreign_cores, sample
from benchmarks.bench.results import Turn, Void
from benchmarks.bench.row import Row
from benchmarks.bench.sides import Opened, Side

Tell = Callable[[Row, Turn | None], None]


async def measure(
    opened: Opened, rows: Sequence[Row], *, rounds: int, seconds: float, dice: random.Random, tell: Tell
) -> list[Turn]:
    """Every row once for warming up and then once a round. Raises Void."""
    for row in rows:
        await warm_up(opened.sides[row.key], seconds)
        tell(row, None)
    turns = []
    for number in range(1, rounds + 1):
        idle = await idle_cores(opened.sides.values(), seconds)
        for row in dice.sample(list(rows), len(rows)):
            turn = await take_turn(row, number, opened.sides[row.key], seconds, idle)
            turns.append(turn)
            tell(row, turn)
    return turns


async def warm_up(side: Side, seconds: float) -> None:
    """Twice, because the first teaches a client how much a second holds. Raises Void."""
    for share in (0.1, 0.4):
        await side.ready(seconds * share)
        await side.settle(await side.operate(seconds * share))


async def idle_cores(sides: Collection[Side], seconds: float) -> Mapping[int, float]:
    """What each server keeps busy while nobody calls any; what was asked of them has been answered."""
    servers = {pid for side in sides for pid in side.servers}
    if not servers:
        return {}
    before = sample(servers, ())
    await asyncio.sleep(seconds)
    after = sample(servers, ())
    return {pid: (after.servers[pid] - before.servers[pid]) / (after.when - before.when) for pid in servers}


async def take_turn(row: Row, number: int, side: Side, seconds: float, idle: Mapping[int, float]) -> Turn:
    """One row once, watched; `idle` is what its servers use anyway, in cores. Raises Void."""
    await side.ready(seconds)
    before = sample(side.servers, side.databases)
    load = await side.operate(seconds)
    after = sample(side.servers, side.databases)
    if not load.operations:
        raise Void(f"{row.title} ({row.client}): nothing was done in {seconds:g} s")
    await side.settle(load)
    return Turn(
        row.key,
        number,
        load,
        sum(after.servers[pid] - before.servers[pid] for pid in side.servers) if side.servers else None,
        after.databases - before.databases,
        foreign_cores(before, after),
        sum(idle.get(pid, 0.0) for pid in side.servers),
    )
