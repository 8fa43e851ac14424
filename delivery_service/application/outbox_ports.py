"""What operators need of the outbox: its entries as they stand."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from delivery_service.domain.reservation import StockCommand


class CommandState(StrEnum):
    """Where a command stands: waits for its time, is with a relay, was answered, waits for people."""

    PENDING = "PENDING"
    IN_FLIGHT = "IN_FLIGHT"
    DONE = "DONE"
    PARKED = "PARKED"


@dataclass(frozen=True)
class OutboxEntry:
    """One command for inventory, as it stands; `last_error` is the last refusal or fault, if there was one."""

    entry_id: int
    package_sn: str
    package_version: int
    command: StockCommand
    state: CommandState
    attempts: int
    last_error: str | None
    create_time: datetime
    next_attempt_time: datetime


class OutboxEntries(Protocol):
    """The outbox as operators see it; nothing is locked."""

    async def get(self, entry_id: int) -> OutboxEntry | None: ...

    async def list_entries(self, state: CommandState | None, size: int, after: int) -> list[OutboxEntry]:
        """Oldest first, by entry_id; None is every state but DONE."""
