"""A reader of the old system: looks at the tables alone, all of them as of one instant, again and again."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

STATEMENTS = {
    "orders": "SELECT id, order_status, shipping_status FROM tigu_order",
    "order_items": "SELECT id, order_id, quantity FROM tigu_order_item",
    "packages": "SELECT id, prepare_sn, order_ids, prepare_status, type FROM tigu_prepare_goods",
    "items": "SELECT prepare_id, order_item_id, quantity FROM tigu_prepare_goods_item",
    "mapping": "SELECT prepare_goods_id, order_id, active_leg FROM tigu_prepare_goods_order",
    "actions": "SELECT order_id, action_type FROM tigu_order_action",
    "events": "SELECT package_id, sequence, verb, to_status FROM package_event ORDER BY package_id, sequence",
}
ACTIONS = {"PREPARE": 0, "PICK_UP": 1, "ARRIVE": 2, "RECEIVE": 3, "SHIP": 4, "DELIVER": 5}
WAITING, LEFT, DONE = 1, 2, 3
PAUSE_SECONDS = 0.01
PREPARED, COMPLETED, CANCELLED = 0, 6, 7


@dataclass
class Snapshot:
    """All rows of the tables of orders and packages as of one instant."""

    rows: dict[str, list[Any]]

    def wrong(self) -> list[str]:
        """What old readers could be misled by."""
        return [*self._packings(), *self._units(), *self._statuses(), *self._told(), *self._timelines()]

    def _of_orders(self) -> dict[int, list[Any]]:
        packages = {package.id: package for package in self.rows["packages"]}
        found: defaultdict[int, list[Any]] = defaultdict(list)
        for row in self.rows["mapping"]:
            found[row.order_id].append(packages[row.prepare_goods_id])
        return found

    def _packings(self) -> Iterator[str]:
        for order_id, packages in self._of_orders().items():
            legs = [package.type for package in packages if package.prepare_status < COMPLETED]
            if len(legs) != len(set(legs)):
                yield f"order {order_id} is in active packages of legs {legs}"
        packages_by_id = {package.id: package for package in self.rows["packages"]}
        mapped: defaultdict[int, list[int]] = defaultdict(list)
        for row in self.rows["mapping"]:
            package = packages_by_id[row.prepare_goods_id]
            mapped[package.id].append(row.order_id)
            leg = package.type if package.prepare_status < COMPLETED else None
            if row.active_leg != leg:
                yield f"{package.prepare_sn} takes leg {row.active_leg} of order {row.order_id}, not {leg}"
        for package in packages_by_id.values():
            if package.order_ids != ",".join(map(str, sorted(mapped[package.id]))):
                yield f"{package.prepare_sn} lists {package.order_ids}, mapped are {mapped[package.id]}"

    def _packed(self, leg: int) -> Counter[int]:
        living = {p.id for p in self.rows["packages"] if p.type == leg and p.prepare_status != CANCELLED}
        packed: Counter[int] = Counter()
        for item in self.rows["items"]:
            packed[item.order_item_id] += item.quantity * (item.prepare_id in living)
        return packed

    def _units(self) -> Iterator[str]:
        first, second = self._packed(0), self._packed(1)
        for item in self.rows["order_items"]:
            if first[item.id] > item.quantity or second[item.id] > first[item.id]:
                yield f"item {item.id}: {item.quantity} ordered, {first[item.id]}, {second[item.id]} packed"

    def _statuses(self) -> Iterator[str]:
        packed, of_orders = self._packed(0), self._of_orders()
        for order in self.rows["orders"]:
            states = [package.prepare_status for package in of_orders[order.id]]
            active = [state for state in states if state < COMPLETED]
            furthest = max(active) + 1 if active else (COMPLETED + 1) * (COMPLETED in states)
            if order.shipping_status != furthest:
                yield f"order {order.id} is shown at {order.shipping_status}, its packages are at {states}"
            if order.order_status not in (WAITING, LEFT, DONE):
                continue
            living = [state for state in states if state != CANCELLED]
            whole = all(
                packed[item.id] >= item.quantity
                for item in self.rows["order_items"]
                if item.order_id == order.id
            )
            status = LEFT if any(state > PREPARED for state in living) else WAITING
            if living and set(living) == {COMPLETED} and whole:
                status = DONE
            if order.order_status != status:
                yield f"order {order.id} has status {order.order_status}, its packages are at {states}"

    def _told(self) -> Iterator[str]:
        told = Counter((row.order_id, row.action_type) for row in self.rows["actions"])
        happened: Counter[tuple[int, int]] = Counter()
        orders: defaultdict[int, list[int]] = defaultdict(list)
        for row in self.rows["mapping"]:
            orders[row.prepare_goods_id].append(row.order_id)
        for event in self.rows["events"]:
            if event.verb in ACTIONS:
                happened.update((order_id, ACTIONS[event.verb]) for order_id in orders[event.package_id])
        if told != happened:
            yield f"actions {told - happened} did not happen, {happened - told} are not told"

    def _timelines(self) -> Iterator[str]:
        last = {event.package_id: event.to_status for event in self.rows["events"]}
        for package in self.rows["packages"]:
            if last[package.id] != package.prepare_status:
                yield f"{package.prepare_sn} is at {package.prepare_status}, its events led to {last[package.id]}"


class OldReader:
    """What was read so far."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self.states_seen = 0
        """How many different states of the tables were met."""
        self._seen: dict[str, list[Any]] = {}

    async def look(self, connection: AsyncConnection) -> None:
        """One look, at one instant."""
        await connection.execute(text("START TRANSACTION WITH CONSISTENT SNAPSHOT"))
        rows = {
            name: list((await connection.execute(text(statement))).all())
            for name, statement in STATEMENTS.items()
        }
        await connection.rollback()
        if rows != self._seen:
            self._seen = rows
            self.states_seen += 1
            self.found += Snapshot(rows).wrong()


@asynccontextmanager
async def old_reader(engine: AsyncEngine) -> AsyncIterator[OldReader]:
    """Reads beside whatever happens, and once more in the end; then nothing may have been wrong."""
    reader = OldReader()

    async def read() -> None:
        async with engine.connect() as connection:
            await connection.execution_options(isolation_level="REPEATABLE READ")
            while True:
                await reader.look(connection)
                await asyncio.sleep(PAUSE_SECONDS)

    task = asyncio.create_task(read())
    try:
        yield reader
    finally:
        task.cancel()
        done = await asyncio.gather(task, return_exceptions=True)
    assert isinstance(done[0], asyncio.CancelledError), done
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="REPEATABLE READ")
        await reader.look(connection)
    assert reader.found == []
