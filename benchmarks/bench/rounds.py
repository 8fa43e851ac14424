"""Rows of a panel in turns: each round in another order, each turn watched and its books compared."""

import random
from collections.abc import Callable, Sequence

from benchmarks.bench.processor import foreign_cores, sample
from benchmarks.bench.results import Turn, Void
from benchmarks.bench.rows import Row
from benchmarks.bench.sides import Opened, Side

Tell = Callable[[Row, Turn | None], None]


async def measure(
    opened: Opened, rows: Sequence[Row], *, rounds: int, seconds: float, dice: random.Random, tell: Tell
) -> list[Turn]:
    """Every row once for warming up and then once a round. Raises Void."""
    for row in rows:
        side = opened.sides[row.key]
        # Twice, because the first teaches a client how much a second holds.
        for share in (0.1, 0.4):
            await side.settle(await side.operate(seconds * share))
        tell(row, None)
    turns = []
    for number in range(1, rounds + 1):
        for row in dice.sample(list(rows), len(rows)):
            turn = await take_turn(row, number, opened.sides[row.key], seconds)
            turns.append(turn)
            tell(row, turn)
    return turns


async def take_turn(row: Row, number: int, side: Side, seconds: float) -> Turn:
    """One row once, watched. Raises Void."""
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
        after.servers - before.servers,
        after.databases - before.databases,
        foreign_cores(before, after),
    )
