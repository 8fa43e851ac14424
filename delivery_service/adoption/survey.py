"""What the order lists of all packages say together, kept on disk for as long as it is looked at.

Memory stays the same however many packages and orders there are. Ids of the engine may have no sign, those of the
file have one: they are shifted, which keeps their order.
"""

import re
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

_TABLES = """
PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -16000; PRAGMA temp_store = FILE;
CREATE TABLE orders (key INTEGER PRIMARY KEY, shop TEXT);
CREATE TABLE packages (
    key INTEGER PRIMARY KEY, sn TEXT, delivery_type INTEGER, leg INTEGER, active INTEGER, shop TEXT
);
CREATE TABLE listed (order_key INTEGER, package_key INTEGER);
CREATE TABLE answered (
    order_key INTEGER, delivery_type INTEGER, packages INTEGER, foreign_ones INTEGER, first INTEGER,
    PRIMARY KEY (order_key, delivery_type)
) WITHOUT ROWID;
"""
# Both at once: nothing is looked up before all is there.
_INDEXES = "CREATE INDEX of_order ON listed (order_key, package_key); CREATE INDEX of_package ON listed (package_key)"
_ANSWER = """
INSERT INTO answered VALUES (?, ?, ?, ?, ?) ON CONFLICT (order_key, delivery_type)
DO UPDATE SET packages = packages + excluded.packages, foreign_ones = foreign_ones + excluded.foreign_ones
"""
_SHIFT = 2**63
_DIGITS = re.compile("[0-9]+")


@dataclass(frozen=True)
class Listed:
    """A package as its row says it; `active` and `leg` in our words, `asked` where the old query looked at it."""

    package_id: int
    package_sn: str
    delivery_type: int
    leg: int | None
    active: bool
    asked: bool
    shop_id: int
    order_ids: tuple[int, ...]
    text: str


@dataclass(frozen=True)
class Answer:
    """A delivery type, and the packages that have it: how many, the first, and those that do not hold the order."""

    delivery_type: int
    packages: int
    foreign_ones: int
    first: str


class OrderIds:
    """Which order ids there are, as far as 8 MB can tell: what it denies is none, what it affirms almost surely is."""

    def __init__(self) -> None:
        self._bits = bytearray(1 << 23)
        self._lengths: set[int] = set()

    def add(self, order_id: str) -> None:
        """Notes an id."""
        place = hash(order_id) & 0x3FFFFFF
        self._bits[place >> 3] |= 1 << (place & 7)
        self._lengths.add(len(order_id))

    def within(self, text: str) -> set[str]:
        """The ids that LIKE '%id%' finds in a text; next to none that are not there."""
        found, bits = set(), self._bits
        for digits in _DIGITS.findall(text):
            for length in self._lengths:
                for start in range(len(digits) - length + 1):
                    part = digits[start : start + length]
                    place = hash(part) & 0x3FFFFFF
                    if bits[place >> 3] >> (place & 7) & 1:
                        found.add(part)
        return found


class Survey:
    """Orders first, then packages; then it can be asked."""

    def __init__(self) -> None:
        # Without a name it is a file of its own, which is gone once it is closed.
        self._kept = sqlite3.connect("")
        self._kept.executescript(_TABLES)
        self._ids = OrderIds()

    def close(self) -> None:
        """Forgets all of it."""
        self._kept.close()

    def add_orders(self, orders: Iterable[tuple[int, int]]) -> None:
        """Takes (order id, shop id) of orders that exist."""
        rows = []
        for order_id, shop_id in orders:
            self._ids.add(str(order_id))
            rows.append((order_id - _SHIFT, str(shop_id)))
        self._kept.executemany("INSERT INTO orders VALUES (?, ?)", rows)

    def add_packages(self, packages: Iterable[Listed]) -> None:
        """Takes packages in the order of their ids, with the orders of their lists and those that LIKE finds there."""
        rows, listed = [], []
        answers: dict[tuple[str, int], list[int]] = {}
        for package in packages:
            key = package.package_id - _SHIFT
            rows.append((key, *_facts(package)))
            listed += [(order_id - _SHIFT, key) for order_id in package.order_ids]
            own = set(map(str, package.order_ids))
            for part in self._ids.within(package.text) if package.asked else ():
                counts = answers.setdefault((part, package.delivery_type), [0, 0, key])
                counts[0] += 1
                counts[1] += part not in own
        self._kept.executemany("INSERT INTO packages VALUES (?, ?, ?, ?, ?, ?)", rows)
        self._kept.executemany("INSERT INTO listed VALUES (?, ?)", listed)
        # In their order: neighbours stand on one page of the file.
        found = sorted((int(part) - _SHIFT, kind, *counts) for (part, kind), counts in answers.items())
        self._kept.executemany(_ANSWER, found)

    def all_there(self) -> None:
        """Says that no more comes."""
        self._kept.executescript(_INDEXES)

    def rows(self, select: str) -> Iterator[tuple[Any, ...]]:
        """What a question answers; `id_of` makes an id of a key."""
        self._kept.create_function("id_of", 1, lambda key: str(key + _SHIFT), deterministic=True)
        yield from self._kept.execute(select)

    def answers(self) -> Iterator[tuple[str, list[Answer], list[Answer]]]:
        """(order id, what the old query may have answered, what is right) for each order, by its id."""
        every = self.rows(_ANSWERS)
        for order_id, of_order in groupby(every, key=lambda row: row[0]):
            given = [(row[1], Answer(*row[2:])) for row in of_order if row[2] is not None]
            old = [answer for is_right, answer in given if not is_right]
            yield order_id, old, [answer for is_right, answer in given if is_right]


def _facts(package: Listed) -> tuple[Any, ...]:
    shop = str(package.shop_id)
    return package.package_sn, package.delivery_type, package.leg, package.active, shop


# Each order comes at least once, with no delivery type where nothing is answered and nothing is right.
_ANSWERS = """
SELECT id_of(o.key), x.is_right, x.delivery_type, x.packages, x.foreign_ones, p.sn
FROM orders o
LEFT JOIN (
    SELECT order_key, 0 AS is_right, delivery_type, packages, foreign_ones, first FROM answered
    UNION ALL
    SELECT l.order_key, 1, p.delivery_type, count(*), 0, min(p.key)
    FROM listed l JOIN packages p ON p.key = l.package_key WHERE p.active GROUP BY l.order_key, p.delivery_type
) x ON x.order_key = o.key
LEFT JOIN packages p ON p.key = x.first
ORDER BY o.key, x.is_right, x.delivery_type
"""
