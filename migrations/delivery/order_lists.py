"""How the list of orders in a legacy `order_ids` is read: the same for the backfill and for whoever reports of it.

A list is text: ids with commas between them. People and programs left blanks, spaces, repetitions, words and ids of
orders that never were. What is an order id is taken, once; nothing is made up for what is none.
Belongs to revision 0005, and is as frozen as it is.
"""

from collections.abc import Iterator
from typing import NamedTuple

INDEXED_CHARACTERS = 100
MOST_ID = 2**64 - 1

LONG = "more than 100 characters"
BLANK = "a blank part; left out"
NO_ID = "a part that is no order id; left out"
UNTIDY = "spaces or zeros around an order id; taken without"
TWICE = "an order id twice; taken once"


class Part(NamedTuple):
    """What a list says at one place: an order id, or a fault, or both."""

    order_id: int | None
    fault: str | None
    text: str


def read(order_ids: str) -> Iterator[Part]:
    """The parts of a list in their order; each order id comes once."""
    if len(order_ids) > INDEXED_CHARACTERS:
        yield Part(None, LONG, f"{len(order_ids)} characters")
    seen: set[int] = set()
    for part in order_ids.split(","):
        bare = part.strip()
        if not bare:
            yield Part(None, BLANK, "")
        elif not (bare.isascii() and bare.isdigit() and len(bare) <= 100 and int(bare) <= MOST_ID):
            yield Part(None, NO_ID, bare[:40])
        elif int(bare) in seen:
            yield Part(None, TWICE, bare)
        else:
            seen.add(int(bare))
            yield Part(int(bare), None if part == str(int(bare)) else UNTIDY, part)
