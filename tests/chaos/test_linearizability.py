"""The checker itself: it must accept what can have happened and refuse what cannot."""

import math
import random
from collections.abc import Callable

import pytest

from chaos.linearizability import Operation, linearizable

Register = Operation[int]


def writes(value: int) -> Callable[[int], int | None]:
    return lambda now: value


def reads(value: int) -> Callable[[int], int | None]:
    return lambda now: now if now == value else None


@pytest.mark.parametrize(
    ("history", "accepted"),
    [
        ([], True),
        ([Register(0, 1, writes(1)), Register(2, 3, reads(1))], True),
        ([Register(0, 1, writes(1)), Register(2, 3, reads(0))], False),
        # While the write is under way a reader may see either, but not the new and then the old.
        ([Register(0, 9, writes(1)), Register(1, 2, reads(0)), Register(3, 4, reads(1))], True),
        ([Register(0, 9, writes(1)), Register(1, 2, reads(1)), Register(3, 4, reads(0))], False),
        # An unknown outcome: never, now, or much later; but not before it began, and not twice.
        ([Register(0, math.inf, writes(1)), Register(5, 6, reads(0))], True),
        ([Register(0, math.inf, writes(1)), Register(5, 6, reads(0)), Register(7, 8, reads(1))], True),
        ([Register(3, math.inf, writes(1)), Register(1, 2, reads(1))], False),
        (
            [
                Register(0, math.inf, writes(1)),
                Register(1, 2, reads(1)),
                Register(3, 4, writes(0)),
                Register(5, 6, reads(1)),
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
    add: Callable[[int], int | None] = lambda now: now + 1  # noqa: E731 - one and the same effect
    certain = [Operation(place, place + 9, add) for place in range(150)]
    unknown = [Operation(place * 10.0, math.inf, add) for place in range(15)]

    assert linearizable([*certain, *unknown, Operation(200, 201, reads(160))], 0)
    assert not linearizable([*certain, *unknown, Operation(200, 201, reads(166))], 0)
