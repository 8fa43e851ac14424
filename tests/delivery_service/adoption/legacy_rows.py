"""Rows as the legacy application left them, with everything that went wrong in it; what is planted is counted.

Package n is the same in every database of that seed and dialect. Its number decides what is odd about it, so that no
two oddities meet in one package and each of them can be counted. A successor is none: its order was in a cancelled one.
"""

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from delivery_service.adoption.run import Dialect

PATHS = {(0, 0): (None, 0, 3, 4, 5, 6, 7), (0, 1): (None, 0, 5, 6, 7)}
PATHS |= {(1, 0): (None, 0, 1, 2, 3, 4, 5, 6, 7), (1, 1): (None, 0, 1, 5, 6, 7)}
"""The statuses of each (delivery_type, shipping_type) of Phase 6."""

STEPS = {(0, 0): (0, 3, 4, 5), (0, 1): (0, 5), (1, 0): (0, 1, 2, 3, 4, 5), (1, 1): (0, 1, 5)}
"""The actions of each; action n leads to status n."""

WHO = {0: "merchant_{shop}", 1: "driver_{driver}", 2: "driver_{driver}", 3: "warehouse_{warehouse}"}
WHO |= {4: "warehouse_{warehouse}", 5: "merchant_{shop}"}

ODDITIES = (
    *(
        "blank",
        "spaces",
        "twice",
        "no number",
        "unknown order",
        "long",
        "shared order",
        "driver of a merchant",
    ),
    *("no orders", "second leg", "another shop", "unknown driver", "no driver", "warehouse of a user"),
    *(
        "no units",
        "unknown file",
        "no file",
        "unknown warehouse",
        "no step",
        "no warehouse",
        "unknown item",
        "successor",
    ),
)
EVERY = 41
"""Of so many packages each oddity has one; the others are as they should be."""

SKIPPED, TWICE = map(datetime.fromisoformat, ("2025-03-30 02:30:00", "2025-10-26 02:30:00"))
"""Times that in Berlin never were, and were twice; update_time is five minutes later, and is one as well."""

JUNE, JULY = map(datetime.fromisoformat, ("2025-06-01", "2025-07-01 08:00:00"))

Row = tuple[Any, ...]


@dataclass
class Planted:
    """What was planted: `odd` by name, `rows` by table, `statuses` as they are stored."""

    odd: Counter[str] = field(default_factory=Counter)
    rows: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int | None] = field(default_factory=Counter)
    workflows: Counter[tuple[int, int]] = field(default_factory=Counter)
    """By what they mean, (delivery_type, shipping_type) of Phase 6."""


def order_id(number: int) -> int:
    """The id of order `number`: of four lengths, so that ids are parts of others."""
    if number % 4 == 0:
        return number
    if number % 4 == 1:
        return 9_000_000 + number - 1
    if number % 4 == 2:
        return int(f"77{number:06d}77{number:06d}")
    return 1_970_000_000_000_000_000 + number * 7919


class Packages:
    """Makes packages one after the other, with everything that belongs to them."""

    def __init__(self, seed: int, dialect: Dialect, *, odd: bool) -> None:
        self.planted = Planted()
        self._chance = random.Random(seed)
        self._dialect = dialect
        self._odd = odd
        self._orders = self._files = self._items = 3
        self._shareable: list[int] = []
        self._cancelled: list[int] = []
        self._received: list[tuple[int, int]] = []

    def of(self, n: int) -> Iterator[tuple[str, Row]]:
        """(table, values) of package n, in the order in which they can be inserted."""
        oddity = ODDITIES[n % EVERY] if self._odd and n % EVERY < len(ODDITIES) else ""
        pair = self._pair(oddity)
        status = self._status(pair, oddity)
        warehouse, driver = self._warehouse(pair, oddity), self._driver(pair, status, oddity)
        numbers = list(range(self._orders + 1, self._orders + 1 + self._chance.randint(1, 5)))
        taken, leg = [order_id(number) for number in numbers], 0
        self._orders += len(numbers)
        shared = self._shared(oddity, status)
        if oddity == "second leg" and self._received:
            (earlier, warehouse), leg, numbers = self._received.pop(), 1, []
            taken, driver, status = [earlier], 1, 0
            pair = (1, 1)
            self.planted.odd["orders of a second leg"] += 1
        shop = 7
        for number, order in zip(numbers, taken, strict=leg == 0):
            yield from self._order(order, 8 if oddity == "another shop" and number == numbers[0] else shop, n)
        if oddity == "another shop":
            self.planted.odd[oddity] += 1
        made = self._create_time(n)
        yield (
            "tigu_prepare_goods",
            (
                *(n, f"PG{n:06d}", self._list(oddity, [*taken, *shared], n), pair[0]),
                *(self._destination(pair[1]), self._stored(status, driver), leg, shop, f"Receiver {n % 50}"),
                *(f"{n % 900 + 0.99:.2f}", n % 2, warehouse, driver, made, made + timedelta(minutes=5)),
                made + timedelta(hours=9) if status == 5 else None,
            ),
        )
        self.planted.odd["orders of packages"] += 0 if oddity == "no orders" else len(taken) + len(shared)
        self.planted.statuses[self._stored(status, driver)] += 1
        self.planted.workflows[pair] += 1
        yield from self._contents(n, taken, oddity)
        if leg == 0:
            people = {"shop": shop, "driver": driver, "warehouse": warehouse}
            yield from self._actions(pair, status, taken, people, oddity)
        if oddity in ("", "spaces") and leg == 0:
            self._offer(taken, pair, status, warehouse)

    def _pair(self, oddity: str) -> tuple[int, int]:
        pairs = {"driver of a merchant": (0, 1), "no driver": (1, 1), "warehouse of a user": (0, 1)}
        pairs |= {"no warehouse": (0, 0), "unknown warehouse": (1, 0), "unknown driver": (1, 0)}
        return pairs.get(oddity) or self._chance.choice(list(PATHS))

    def _status(self, pair: tuple[int, int], oddity: str) -> int | None:
        statuses = {
            "no driver": 1,
            "no warehouse": 5,
            "shared order": 0,
            "successor": 0,
            "unknown file": 5,
            "no file": 5,
        }
        status = statuses.get(oddity, self._chance.choice(PATHS[pair]))
        if self._dialect is Dialect.OF_2025_12 and status in (6, 7):
            return 5  # it knows neither completed nor cancelled
        return status

    def _warehouse(self, pair: tuple[int, int], oddity: str) -> int | None:
        if oddity in ("warehouse of a user", "no warehouse", "unknown warehouse"):
            self.planted.odd[oddity] += 1
        if oddity == "unknown warehouse":
            return 999
        to_warehouse = pair[1] == 0 and oddity != "no warehouse"
        return self._chance.randint(1, 5) if to_warehouse or oddity == "warehouse of a user" else None

    def _driver(self, pair: tuple[int, int], status: int | None, oddity: str) -> int | None:
        if oddity in ("driver of a merchant", "unknown driver", "no driver"):
            self.planted.odd[oddity] += 1
        if oddity == "unknown driver":
            return 999
        if oddity == "driver of a merchant":
            return 3
        if pair[0] == 0 or oddity == "no driver" or status is None:
            return None
        return self._chance.randint(1, 20) if status else self._chance.choice([None, 4])

    def _destination(self, shipping_type: int) -> int:
        return 1 - shipping_type if self._dialect is Dialect.OF_2025_12 else shipping_type

    def _stored(self, status: int | None, driver: int | None) -> int | None:
        if self._dialect is Dialect.OF_2025_12:
            if status == 0 and driver is not None and driver != 3:
                return 6
            if status == 5 and driver is None:
                return 7
        return status

    def _create_time(self, n: int) -> datetime:
        if self._odd and n % 97 in (0, 1):
            self.planted.odd["skipped time" if n % 97 == 0 else "doubled time"] += 1
            return SKIPPED if n % 97 == 0 else TWICE
        return JUNE + timedelta(minutes=n % 80_000)

    def _shared(self, oddity: str, status: int | None) -> list[int]:
        if oddity == "successor" and self._cancelled:
            self.planted.odd[oddity] += 1
            return [self._cancelled.pop()]
        if oddity != "shared order" or not self._shareable or status in (6, 7):
            return []
        self.planted.odd[oddity] += 1
        return [self._shareable.pop()]

    def _offer(self, taken: list[int], pair: tuple[int, int], status: int | None, warehouse: Any) -> None:
        if (status is None or status < 3) and len(self._shareable) < 9:
            self._shareable.append(taken[0])
        elif status == 3 and pair[1] == 0 and len(self._received) < 9:
            self._received.append((taken[0], warehouse))
        elif status == 7 and len(self._cancelled) < 9:
            self._cancelled.append(taken[0])

    def _list(self, oddity: str, orders: list[int], n: int) -> str:
        texts = list(map(str, orders))
        faults = {
            "blank": f"{','.join(texts)},,",
            "spaces": f" {texts[0]}, {', '.join(texts[1:])}",
            "twice": f"{','.join(texts)},{texts[0]}",
            "no number": f"{','.join(texts)},n/a",
            "unknown order": f"{','.join(texts)},{8_888_000_000_000_000_000 + n}",
            "long": ",".join([*texts, *[f"{orders[0]:020d}"] * 6]),
            "no orders": f"{8_888_000_000_000_000_000 + n}",
        }
        if oddity in faults:
            self.planted.odd[oddity] += 1
        if oddity == "spaces":
            # One before each; where there is a single order a blank part follows.
            self.planted.odd["parts with spaces"] += len(texts)
            self.planted.odd["blank parts"] += len(texts) == 1
        self.planted.odd["blank parts"] += 2 * (oddity == "blank")
        return faults.get(oddity, ",".join(texts))

    def _order(self, order: int, shop: int, n: int) -> Iterator[tuple[str, Row]]:
        status = n % 6 if n % 7 == 0 else 1
        made = JUNE + timedelta(minutes=n % 70_000)
        amount = f"{order % 5000 + 0.5:.2f}"
        row = (order, f"SN{order}", 1, shop, amount, 0, 0, status, 1, made, made, made)
        yield "tigu_order", row
        for _ in range(1 + n % 2):
            self._items += 1
            item = (self._items, order, 80, 90 + self._items % 9, '{"en": "Lamp"}', "L-1", 2, "9.90")
            yield "tigu_order_item", item

    def _contents(self, n: int, orders: list[int], oddity: str) -> Iterator[tuple[str, Row]]:
        if oddity == "no orders":
            self.planted.odd["no items"] += 1
            return
        for number in range(1 + n % 2):
            item = 10**9 + n if oddity == "unknown item" else self._items - number
            units = 0 if oddity == "no units" else 1
            if oddity in ("unknown item", "no units"):
                self.planted.odd[oddity] += 1
            made = JUNE + timedelta(minutes=n % 70_000)
            yield "tigu_prepare_goods_item", (n, item, 80, 90 + item % 9, units, made)

    def _actions(
        self, pair: tuple[int, int], status: int | None, orders: list[int], people: Any, oddity: str
    ) -> Iterator[tuple[str, Row]]:
        steps = [step for step in STEPS[pair] if status is not None and step <= status < 7]
        for hours, step in enumerate(steps):
            self._files += 1
            at = JULY + timedelta(minutes=self._files % 30_000, hours=hours)
            yield "tigu_uploaded_files", (self._files, f"step{step}.jpg", f"/uploads/{self._files}.jpg", at)
            files = str(self._files)
            if hours == 0 and oddity in ("unknown file", "no file"):
                files += ",987654321987" if oddity == "unknown file" else ",lost"
                self.planted.odd[oddity] += len(orders)
            for order in orders:
                who = WHO[step].format(**people)
                yield "tigu_order_action", (order, 1, step + 1, pair[1], step, files, who, at, f"step {step}")
        if oddity == "no step":
            self.planted.odd[oddity] += 1
            refund = (orders[0], 5, 6, 0, 7, None, "admin", JULY, "refund")
            yield "tigu_order_action", refund
