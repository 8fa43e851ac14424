"""The sides take turns at the same work, and after each turn their databases are asked whether it was done right."""

import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from benchmarks.bench.processor import foreign_cores, sample
from benchmarks.peers.packages import PeerUnavailable
from benchmarks.peers.sides import Books, Outcome, Side, Work
from devtools.console import say

CALLERS = 64
SPREAD = 500
PLENTY = 1_000_000_000
LAST_UNITS = 50
ATTEMPTS = 4


WARM_UP, WARM_UP_SHARE = -1, 0.25
"""The round that does not count, and how much of a turn is enough for it."""


async def _nothing() -> None:
    """Nothing lies between turns of sides that have no database."""


@dataclass(frozen=True)
class Panel:
    """Sides that are compared at one kind of work."""

    key: str
    title: str
    skus: int
    quantity: int
    attempts: int
    sides: Sequence[Side]
    correct: bool = True
    """Whether these sides must never sell what is not there."""


@dataclass(frozen=True)
class Turn:
    """One side's turn in one round; `wrong` says how the books contradict what was answered, empty where they agree."""

    panel: str
    side: str
    round: int
    outcome: Outcome
    books: Books
    foreign_cores: float
    wrong: str


@dataclass
class Measured:
    """Everything that a run saw."""

    seed: int
    turns: list[Turn] = field(default_factory=list)
    stopped: dict[str, str] = field(default_factory=dict)
    """Sides that could not go on, each with the reason."""

    def by_side(self, panel: str) -> dict[str, list[Turn]]:
        """The turns of a panel, by the name of the side."""
        found: dict[str, list[Turn]] = {}
        for turn in self.turns:
            if turn.panel == panel:
                found.setdefault(turn.side, []).append(turn)
        return found

    @property
    def void(self) -> list[Turn]:
        """Turns whose books are wrong where they must be right."""
        return [turn for turn in self.turns if turn.wrong]


def contradiction(outcome: Outcome, books: Books) -> str:
    """How the books contradict the answers; empty where nothing was sold twice and every answer has its row."""
    wrong = []
    if max(books.counted, books.rows, outcome.accepted) > books.there:
        wrong.append(f"sold {max(books.counted, books.rows, outcome.accepted)} of {books.there}")
    if books.counted != books.rows:
        wrong.append(f"{books.counted} counted as sold, {books.rows} in rows")
    if outcome.accepted != books.rows:
        wrong.append(f"{outcome.accepted} accepted, {books.rows} in rows")
    return "; ".join(wrong)


async def take_turns(
    panels: Sequence[Panel],
    rounds: int,
    seconds: float,
    seed: int,
    checkpoint: Callable[[], Awaitable[None]] = _nothing,
) -> Measured:
    """Lets all sides of all panels work so many rounds, each round in another order.

    Before the first of them each side warms up. `checkpoint` is called before every turn.
    """
    measured, dice = Measured(seed), random.Random(seed)
    for number in range(WARM_UP, rounds):
        turns = [(panel, side) for panel in panels for side in panel.sides]
        dice.shuffle(turns)
        for panel, side in turns:
            name = side.about.name
            if name in measured.stopped:
                continue
            try:
                await checkpoint()
                turn = await _turn(
                    panel, side, number, seconds * WARM_UP_SHARE if number == WARM_UP else seconds
                )
            except PeerUnavailable as reason:
                when = "while it warmed up" if number == WARM_UP else f"in round {number + 1}"
                measured.stopped[name] = f"stopped {when}: {reason}"
                say(f"{name} {measured.stopped[name]}")
                continue
            if number == WARM_UP:
                continue
            measured.turns.append(turn)
            told = f"; {turn.wrong}" if turn.wrong else ""
            say(f"{number + 1}/{rounds} {panel.key:7} {name:38} {_told(turn.outcome)}{told}")
    return measured


async def _turn(panel: Panel, side: Side, number: int, seconds: float) -> Turn:
    name = side.about.name
    slug = "".join(character if character.isalnum() else "-" for character in name)
    skus = [f"{panel.key}-{number}-{slug}-{which}" for which in range(panel.skus)]
    await side.stock(skus, panel.quantity)
    work = Work(skus, CALLERS, 0.0 if panel.attempts else seconds, panel.attempts)
    before = sample((), ())
    outcome = await side.reserve(work)
    foreign = foreign_cores(before, sample((), ()))
    books = await side.books(skus)
    await side.forget()
    wrong = contradiction(outcome, books) if panel.correct else ""
    return Turn(panel.key, name, number, outcome, books, foreign, wrong)


def _told(outcome: Outcome) -> str:
    failed = sum(outcome.failures.values())
    return f"{outcome.rate:8,.0f}/s {outcome.accepted:7,} sold" + (f", {failed} failed" if failed else "")
