"""The checker itself: it must accept what can have happened and refuse what cannot."""

import itertools
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest

from chaos.linearizability import Operation, linearizable

Register = Operation[int]


@dataclass(frozen=True)
class Writes:
    value: int

    def __call__(self, now: int) -> int:
        return self.value


@dataclass(frozen=True)
class Reads:
    value: int

    def __call__(self, now: int) -> int | None:
        return now if now == self.value else None


@dataclass(frozen=True)
class Adds:
    def __call__(self, now: int) -> int:
        return now + 1


@pytest.mark.parametrize(
    ("history", "accepted"),
    [
        ([], True),
        ([Register(0, 1, Writes(1)), Register(2, 3, Reads(1))], True),
        ([Register(0, 1, Writes(1)), Register(2, 3, Reads(0))], False),
        # While the write is under way a reader may see either, but not the new and then the old.
        ([Register(0, 9, Writes(1)), Register(1, 2, Reads(0)), Register(3, 4, Reads(1))], True),
        ([Register(0, 9, Writes(1)), Register(1, 2, Reads(1)), Register(3, 4, Reads(0))], False),
        # An unknown outcome: never, now, or much later; but not before it began, and not twice.
        ([Register(0, math.inf, Writes(1)), Register(5, 6, Reads(0))], True),
        ([Register(0, math.inf, Writes(1)), Register(5, 6, Reads(0)), Register(7, 8, Reads(1))], True),
        ([Register(3, math.inf, Writes(1)), Register(1, 2, Reads(1))], False),
        (
            [
                Register(0, math.inf, Writes(1)),
                Register(1, 2, Reads(1)),
                Register(3, 4, Writes(0)),
                Register(5, 6, Reads(1)),
            ],
            False,
        ),
    ],
)
def test_a_history_is_accepted_exactly_where_one_order_explains_it(
    history: list[Register], accepted: bool
) -> None:
    random.Random(7).shuffle(history)

    assert linearizable(history, 0) is accepted


def test_many_calls_at_once_and_many_unknown_ones_are_judged_soon() -> None:
    certain = [Operation(place, place + 9, Adds()) for place in range(150)]
    unknown = [Operation(place * 10.0, math.inf, Adds()) for place in range(15)]

    assert linearizable([*certain, *unknown, Operation(200, 201, Reads(160))], 0)
    assert not linearizable([*certain, *unknown, Operation(200, 201, Reads(166))], 0)


def test_it_judges_as_trying_every_order_does() -> None:
    chosen = random.Random(7)
    judged = [0, 0]
    for _ in range(400):
        history = [some_operation(chosen) for _ in range(chosen.randint(1, 5))]
        accepted = linearizable(history, 0)
        assert accepted == any(explains(order, 0) for order in orders(history)), history
        judged[accepted] += 1
    assert min(judged) > 50


def some_operation(chosen: random.Random) -> Register:
    began = chosen.randint(0, 12)
    effect: Callable[[int], int | None] = chosen.choice((Writes(1), Adds(), Reads(0), Reads(1), Reads(2)))
    unknown = chosen.random() < 0.2 and not isinstance(effect, Reads)
    return Register(began, math.inf if unknown else began + chosen.randint(1, 6), effect)


def orders(history: Sequence[Register]) -> itertools.chain[tuple[Register, ...]]:
    """Every order of all that was answered and some of the rest."""
    answered = [operation for operation in history if operation.certain]
    unknown = [operation for operation in history if not operation.certain]
    return itertools.chain.from_iterable(
        itertools.permutations([*answered, *some])
        for count in range(len(unknown) + 1)
        for some in itertools.combinations(unknown, count)
    )


def explains(order: Sequence[Register], state: int | None) -> bool:
    if any(later.ended < earlier.began for earlier, later in itertools.combinations(order, 2)):
        return False
    for operation in order:
        if state is None:
            break
        state = operation.effect(state)
    return state is not None
