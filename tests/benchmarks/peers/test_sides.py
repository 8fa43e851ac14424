import asyncio
import json
from dataclasses import asdict

from benchmarks.peers.rounds import contradiction
from benchmarks.peers.sides import Books, Outcome, Refused, Tally, Work


def outcome(accepted: int) -> Outcome:
    return Outcome(accepted, 0, {}, 1.0)


def test_books_that_say_what_was_answered_are_not_contradicted() -> None:
    assert contradiction(outcome(50), Books(there=50, counted=50, rows=50)) == ""


def test_each_way_to_sell_too_much_is_told() -> None:
    assert contradiction(outcome(51), Books(50, 51, 51)) == "sold 51 of 50"
    assert contradiction(outcome(256), Books(50, 6, 256)).startswith(
        "sold 256 of 50; 6 counted as sold, 256 in rows"
    )


def test_a_counter_that_differs_from_its_rows_is_told() -> None:
    assert contradiction(outcome(9), Books(50, 8, 9)) == "8 counted as sold, 9 in rows"


def test_an_answer_without_a_row_and_a_row_without_an_answer_are_told() -> None:
    assert contradiction(outcome(10), Books(50, 9, 9)) == "10 accepted, 9 in rows"
    assert contradiction(outcome(8), Books(50, 9, 9)) == "8 accepted, 9 in rows"


async def test_no_answer_is_forgotten_while_callers_overtake_each_other() -> None:
    async def reserve(caller: int, _sku: str) -> int:
        await asyncio.sleep(0.001 * (caller % 3))
        return 1

    told = await Tally().work(Work(["a"], callers=8, attempts=5), reserve)

    assert (told.accepted, told.refused, told.failures) == (40, 0, {})


async def test_refusals_and_failures_are_counted_apart_and_end_nothing() -> None:
    async def reserve(caller: int, _sku: str) -> int:
        if caller == 0:
            raise Refused
        if caller == 1:
            raise ConnectionError("gone\nand more")
        return 3

    told = await Tally().work(Work(["a"], callers=3, attempts=2), reserve)

    assert (told.accepted, told.refused) == (6, 2)
    assert json.loads(json.dumps(asdict(told)))["failures"] == {"ConnectionError: gone": 2}


async def test_callers_go_round_the_skus_without_meeting_where_there_are_enough() -> None:
    asked: list[tuple[int, str]] = []

    async def reserve(caller: int, sku: str) -> int:
        asked.append((caller, sku))
        return 1

    await Tally().work(Work(["a", "b", "c", "d"], callers=2, attempts=3), reserve)

    assert [sku for caller, sku in asked if caller == 0] == ["a", "c", "a"]
    assert [sku for caller, sku in asked if caller == 1] == ["b", "d", "b"]


async def test_callers_stop_when_their_time_is_over() -> None:
    async def reserve(_caller: int, _sku: str) -> int:
        await asyncio.sleep(0.01)
        return 1

    told = await Tally().work(Work(["a"], callers=2, seconds=0.1), reserve)

    assert 0 < told.accepted <= 22
    assert told.seconds >= 0.1
