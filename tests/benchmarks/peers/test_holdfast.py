from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from benchmarks.peers.holdfast import Streaming, Unary
from benchmarks.peers.rounds import Panel, take_turns
from benchmarks.peers.three_statements import three_statements
from benchmarks.peers.warehouse import Warehouse, warehouse
from tests.support.databases import server_url

UNITS = 5


@pytest.fixture(scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Warehouse]:
    log: Path = tmp_path_factory.mktemp("peers") / "log"
    async with warehouse(server_url("postgres"), log) as running:
        yield running


async def test_every_side_on_holdfasts_tables_sells_the_last_units_once_and_keeps_its_books(
    served: Warehouse,
) -> None:
    async with three_statements(served) as by_hand:
        sides = (by_hand, Unary(served), Streaming(served))
        measured = await take_turns([Panel("last", "", 1, UNITS, 1, sides)], 1, 0.0, 1)

    assert measured.void == []
    assert [(turn.outcome.accepted, turn.outcome.refused) for turn in measured.turns] == [(UNITS, 59)] * 3
    assert [turn.outcome.failures for turn in measured.turns] == [{}] * 3
    assert await served.findings() == []


async def test_a_call_of_many_lines_counts_each_of_its_units(served: Warehouse) -> None:
    wide = Unary(served, lines=3)

    measured = await take_turns([Panel("wide", "", 3, 1000, 1, (wide,))], 1, 0.0, 1)

    [turn] = measured.turns
    assert (turn.outcome.accepted, turn.books.rows, turn.books.there) == (192, 192, 3000)
    assert turn.wrong == ""
