"""What settling stock needs: the commands that wait, and the service that holds the stock."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from delivery_service.domain.package import Package
from delivery_service.domain.reservation import Shortage, StockCommand

Lease = tuple[int, str]
"""An entry, and the token under which it was taken."""


@dataclass(frozen=True)
class Task:
    """One command for inventory, on lease to this process under `token`."""

    entry_id: int
    package_sn: str
    command: StockCommand
    reservation_id: str
    lines: Mapping[str, int]
    trace: str
    token: str
    attempts: int
    traceparent: str = ""
    """Where the work that asked for it was in its trace; empty where it was in none."""

    @property
    def lease(self) -> Lease:
        """What this process has to show before it records anything."""
        return self.entry_id, self.token


@dataclass(frozen=True)
class NewCommand:
    """What inventory shall do about the package's present hold."""

    package: Package
    command: StockCommand
    trace: str


@dataclass(frozen=True)
class StuckCommand:
    """A command that waits for people (`parked`), or that takes too long."""

    command: StockCommand
    reservation_id: str
    parked: bool


class Outbox(Protocol):
    """The commands that still have to reach inventory. One package's commands go out in the order they came in."""

    async def add(self, commands: Collection[NewCommand]) -> None:
        """Puts in commands, at most one a package. A release closes an unfinished reserve."""

    async def take_over(self, most: int) -> int:
        """Puts entries with an expired lease back; answers how many."""

    async def claim(self, most: int, lease_seconds: float) -> list[Task]:
        """Takes due entries on lease, at most one a package."""

    async def lock_leased(self, tasks: Collection[Task]) -> set[Lease]:
        """Locks the entries of these tasks; answers the leases that are still good. The rest is another's now."""

    async def done(self, tasks: Collection[Task]) -> None:
        """Closes entries whose lease is locked."""

    async def try_later(self, delays: Sequence[tuple[Task, str, float]]) -> None:
        """Puts entries whose lease is locked back, each with its error, for so many seconds."""

    async def park(self, refused: Sequence[tuple[Task, str]]) -> None:
        """Sets entries whose lease is locked aside for people, each with its error."""

    async def unfinished(self, package_ids: Collection[int]) -> set[int]:
        """Those of the packages of which a command is under way or parked."""

    async def lock_stuck(self, entry_id: int, overdue: timedelta) -> StuckCommand | None:
        """Locks an entry that is parked or overdue still. The package's row is locked first."""

    async def put_back(self, entry_id: int) -> None:
        """Makes an entry due now, whoever has it."""

    async def close(self, entry_id: int) -> None:
        """Ends an entry that shall not be sent any more."""

    async def forget_done(self, age: timedelta, most: int) -> int:
        """Deletes closed entries older than `age`; answers how many."""


@dataclass(frozen=True)
class Done:
    """Inventory did it, or had done it before."""


@dataclass(frozen=True)
class TryLater:
    """Whether inventory did it is not known, or it could not for now; not before so many seconds, where it says so."""

    error: str
    wait_seconds: float = 0.0


@dataclass(frozen=True)
class Refused:
    """Inventory refuses, and would refuse again."""

    reason: str
    description: str
    shortages: tuple[Shortage, ...] = ()


Answer = Done | TryLater | Refused


@dataclass(frozen=True)
class Hold:
    """A reservation as inventory has it; `state` is HELD, COMMITTED, RELEASED or EXPIRED."""

    reservation_id: str
    state: str
    lines: Mapping[str, int]
    create_time: datetime | None = None


class InventoryUnreachable(Exception):
    """Inventory could not be asked; nothing is known."""


class Inventory(Protocol):
    """The service that holds the stock. Every call may be repeated without a second effect."""

    async def reserve(self, reservation_id: str, lines: Mapping[str, int], trace: str) -> Answer: ...

    async def commit(self, reservation_id: str, trace: str) -> Answer: ...

    async def release(self, reservation_id: str, trace: str) -> Answer: ...

    def holds(self) -> AsyncIterator[Hold]:
        """Every open hold that this service has made. Raises InventoryUnreachable."""

    async def hold(self, reservation_id: str) -> Hold | None:
        """One hold, in whatever state. Raises InventoryUnreachable."""
