import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.peers import report
from benchmarks.peers.packages import PeerUnavailable
from benchmarks.peers.rounds import Measured, Panel, Turn, take_turns
from benchmarks.peers.sides import About, Books, Outcome, Work


@dataclass
class Shelf:
    """A side in memory that sells so many units in a second, more than it has where it is told to."""

    name: str
    sells: int = 10
    ends: bool = False
    asked: list[Work] = field(default_factory=list)
    forgotten: int = 0

    @property
    def about(self) -> About:
        return About(self.name, "1.0", "in memory", "everything")

    async def stock(self, skus: Sequence[str], quantity: int) -> None:
        if self.ends:
            raise PeerUnavailable("it died")
        self.there = quantity * len(skus)

    async def reserve(self, work: Work) -> Outcome:
        self.asked.append(work)
        return Outcome(self.sells, 0, {}, 1.0)

    async def forget(self) -> None:
        self.forgotten += 1

    async def books(self, skus: Sequence[str]) -> Books:
        return Books(self.there, self.sells, self.sells)


def panel(*sides: Shelf, key: str = "hot", attempts: int = 0, correct: bool = True) -> Panel:
    return Panel(key, "One sku", 1, 50, attempts, sides, correct)


async def test_every_side_gets_its_turn_in_every_round_with_stocks_of_its_own() -> None:
    one, other = Shelf("one"), Shelf("other")

    measured = await take_turns([panel(one, other)], rounds=3, seconds=1.0, seed=7)

    assert sorted((turn.round, turn.side) for turn in measured.turns) == [
        (number, name) for number in range(3) for name in ("one", "other")
    ]
    skus = [sku for side in (one, other) for asked in side.asked for sku in asked.skus]
    assert len(skus) == len(set(skus)) == 8


async def test_each_side_warms_up_for_a_while_that_does_not_count_and_what_it_did_is_forgotten() -> None:
    one, checkpoints = Shelf("one"), 0

    async def checkpoint() -> None:
        nonlocal checkpoints
        checkpoints += 1

    measured = await take_turns([panel(one)], 2, 1.0, 7, checkpoint)

    assert [turn.round for turn in measured.turns] == [0, 1]
    assert [work.seconds for work in one.asked] == [0.25, 1.0, 1.0]
    assert one.forgotten == checkpoints == 3


async def test_the_order_of_turns_is_that_of_the_seed() -> None:
    async def order(seed: int) -> list[str]:
        sides = [Shelf(name) for name in "abcdefgh"]
        return [turn.side for turn in (await take_turns([panel(*sides)], 1, 1.0, seed)).turns]

    assert await order(1) == await order(1) != await order(2)


async def test_a_side_that_sells_too_much_is_void_but_not_where_it_is_only_watched() -> None:
    greedy = Shelf("greedy", sells=51)

    strict = await take_turns([panel(greedy)], 1, 1.0, 1)
    watched = await take_turns([panel(greedy, correct=False)], 1, 1.0, 1)

    assert [turn.wrong for turn in strict.void] == ["sold 51 of 50"]
    assert watched.void == []
    assert watched.turns[0].books.rows == 51


async def test_a_side_that_dies_is_left_out_and_the_others_go_on() -> None:
    measured = await take_turns([panel(Shelf("mortal", ends=True), Shelf("other"))], 2, 1.0, 1)

    assert measured.stopped == {"mortal": "stopped while it warmed up: it died"}
    assert [turn.side for turn in measured.turns] == ["other", "other"]


def turn(side: str, number: int, rate: int, wrong: str = "") -> Turn:
    return Turn("hot", side, number, Outcome(rate, 0, {}, 1.0), Books(100, rate, rate), 0.0, wrong)


def test_ratios_are_of_turns_of_the_same_round(tmp_path: Path) -> None:
    rates = {"three statements": (10, 100, 20), "holdfast": (40, 400, 60), "Medusa": (1, 10, 4)}
    turns = [turn(side, number, rate) for side, of in rates.items() for number, rate in enumerate(of)]
    sides = [Shelf(name) for name in rates]

    report.write(
        tmp_path, {"cores": "2"}, [panel(*sides)], Measured(7, turns), {"TigerBeetle": "not here"}, []
    )

    page = (tmp_path / "peers.md").read_text()
    assert "| Medusa | 4 | 1 … 10 | 0.10 | 40.00 | 0 |" in page
    assert "| holdfast | 60 | 40 … 400 | 4.00 | 1.00 | 0 |" in page
    assert "| TigerBeetle | took no part, or not to the end | not here | – |" in page
    assert "No turn is void" in page
    assert len(json.loads((tmp_path / "peers.json").read_text())["turns"]) == 9


def test_a_side_that_stopped_or_never_sold_is_compared_where_it_can_be(tmp_path: Path) -> None:
    turns = [turn("holdfast", number, 40) for number in range(3)]
    turns += [turn("Medusa", 0, 10), turn("django-oscar", 0, 0)]
    sides = [Shelf(name) for name in ("holdfast", "Medusa", "django-oscar", "three statements")]

    report.write(
        tmp_path, {}, [panel(*sides)], Measured(7, turns), {"Medusa": "stopped in round 2: gone"}, []
    )

    page = (tmp_path / "peers.md").read_text()
    assert "| Medusa | 10 | 10 … 10 | – | 4.00 | 0 |" in page
    assert "| django-oscar | 0 | 0 … 0 | – | – | 0 |" in page
    assert "| three statements | 0" not in page
    assert "| Medusa | took no part, or not to the end | stopped in round 2: gone | – |" in page


def test_a_void_turn_and_an_inconsistency_stand_on_the_page(tmp_path: Path) -> None:
    measured = Measured(7, [turn("holdfast", 0, 51, "sold 51 of 50")])

    report.write(tmp_path, {}, [panel(Shelf("holdfast"))], measured, {}, ["a hold without a stock"])

    page = (tmp_path / "peers.md").read_text()
    assert "- VOID: holdfast, hot, round 1: sold 51 of 50." in page
    assert "- VOID: CheckConsistency of holdfast found a hold without a stock" in page
    assert "No turn is void" not in page
