"""An inventory in memory, behind the application's port; held to `inventory_contract` as the real one is."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field

from delivery_service.application.stock_ports import (
    Answer,
    Done,
    Hold,
    InventoryUnreachable,
    Refused,
    TryLater,
)
from delivery_service.domain.reservation import Shortage


@dataclass
class FakeInventory:
    """Stock by sku, holds by id. `down` answers that it cannot say; `before_answer` runs in every command."""

    stock: dict[str, int] = field(default_factory=dict)
    known: dict[str, Hold] = field(default_factory=dict)
    calls: list[tuple[str, str]] = field(default_factory=list)
    down: bool = False
    refuse: dict[str, Refused] = field(default_factory=dict)
    """Refusals to give instead of doing it, by command."""
    listed: list[Hold] | None = None
    """What `holds` answers, as if it had been read some time ago."""
    before_answer: Callable[[], object] | None = None

    def empty(self) -> None:
        """Forgets everything."""
        self.__init__()  # type: ignore[misc]

    def held(self, sku: str) -> int:
        """Units of a sku that are held."""
        return sum(hold.lines.get(sku, 0) for hold in self.known.values() if hold.state == "HELD")

    async def reserve(self, reservation_id: str, lines: Mapping[str, int], trace: str) -> Answer:
        if (refused := await self._enter("reserve", reservation_id)) is not None:
            return refused
        known = self.known.get(reservation_id)
        if known is not None:
            if known.state == "RELEASED" and not known.lines:
                return Refused("RESERVATION_TOMBSTONED", f"reservation {reservation_id} was released before")
            if dict(known.lines) != dict(lines):
                return Refused("RESERVATION_EXISTS", f"reservation {reservation_id} has other content")
            return (
                Done()
                if known.state in ("HELD", "COMMITTED")
                else Refused("RESERVATION_ALREADY_RESOLVED", "")
            )
        unknown = [sku for sku in lines if sku not in self.stock]
        if unknown:
            shortages = tuple(Shortage(sku, lines[sku], None, "there is no such stock") for sku in unknown)
            return Refused("STOCK_NOT_FOUND", f"no stock with sku {', '.join(unknown)}", shortages)
        short = [sku for sku in lines if self.stock[sku] - self.held(sku) < lines[sku]]
        if short:
            return Refused("INSUFFICIENT_STOCK", "not enough stock", tuple(map(self._short(lines), short)))
        self.known[reservation_id] = Hold(reservation_id, "HELD", dict(lines))
        return Done()

    async def commit(self, reservation_id: str, trace: str) -> Answer:
        if (refused := await self._enter("commit", reservation_id)) is not None:
            return refused
        known = self.known.get(reservation_id)
        if known is None:
            return Refused("RESERVATION_NOT_FOUND", f"no reservation {reservation_id}")
        if known.state == "HELD":
            for sku, quantity in known.lines.items():
                self.stock[sku] -= quantity
            self.known[reservation_id] = Hold(reservation_id, "COMMITTED", known.lines)
        elif known.state != "COMMITTED":
            return Refused("RESERVATION_ALREADY_RESOLVED", f"reservation {reservation_id} is {known.state}")
        return Done()

    async def release(self, reservation_id: str, trace: str) -> Answer:
        if (refused := await self._enter("release", reservation_id)) is not None:
            return refused
        known = self.known.get(reservation_id)
        if known is not None and known.state == "COMMITTED":
            return Refused("RESERVATION_ALREADY_RESOLVED", f"reservation {reservation_id} is COMMITTED")
        self.known[reservation_id] = Hold(reservation_id, "RELEASED", known.lines if known else {})
        return Done()

    async def holds(self) -> AsyncIterator[Hold]:
        if self.down:
            raise InventoryUnreachable("down")
        for hold in list(self.known.values()) if self.listed is None else self.listed:
            if hold.state == "HELD":
                yield hold

    async def hold(self, reservation_id: str) -> Hold | None:
        if self.down:
            raise InventoryUnreachable("down")
        return self.known.get(reservation_id)

    async def _enter(self, command: str, reservation_id: str) -> Answer | None:
        self.calls.append((command, reservation_id))
        await asyncio.sleep(0)
        if self.before_answer is not None:
            result = self.before_answer()
            if asyncio.iscoroutine(result):
                await result
        if self.down:
            return TryLater("UNAVAILABLE: down")
        return self.refuse.get(command)

    def _short(self, lines: Mapping[str, int]) -> Callable[[str], Shortage]:
        def shortage(sku: str) -> Shortage:
            free = self.stock[sku] - self.held(sku)
            return Shortage(sku, lines[sku], free, f"requested {lines[sku]}, available {free}")

        return shortage
