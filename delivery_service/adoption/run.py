"""What one run of an adoption works with."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncEngine

from servicekit.findings import Findings
from servicekit.migrations import Schema

Progress = Callable[[str, int | None], AbstractContextManager[Callable[[int], None]]]


class AdoptionRefused(Exception):
    """The database cannot be adopted as it is; the message says why, and that nothing was changed."""


class AdoptionUnfinished(Exception):
    """The adoption was begun and is not finished; the message says how to go on."""


class Dialect(StrEnum):
    """What the legacy numbers mean; the value is what the operator says."""

    PHASE_6 = "phase6"
    """6 is completed, 7 is cancelled; shipping_type 0 is to a warehouse, 1 to the user."""
    OF_2025_12 = "2025-12"
    """6 is claimed, 7 is delivered; shipping_type 1 is to a warehouse, 0 to the user."""


@dataclass(frozen=True)
class Request:
    """What the operator asks for; `time_zone` is that of the DATETIMEs, which do not say theirs (UTC)."""

    folder: Path
    dialect: Dialect | None = None
    time_zone: str | None = None
    dump_program: Path | None = None
    dry_run: bool = False
    without_backup: bool = False
    accept_differences: bool = False
    accept_sessions: bool = False


@dataclass(frozen=True)
class Run:
    """The engine needs four connections; `tell` takes lines for the operator, `progress` shows how far work is."""

    engine: AsyncEngine
    schema: Schema
    request: Request
    tell: Callable[[str], None]
    progress: Progress
    findings: Findings
    """What stops the adoption, or, at the end, what differs from the beginning."""
    oddities: Findings
    """What is strange and is taken over; each says what becomes of it."""

    @property
    def zone(self) -> ZoneInfo:
        """The zone of times, none of which say theirs."""
        return ZoneInfo(self.request.time_zone or "UTC")

    @property
    def dialect(self) -> Dialect:
        """What the numbers mean; the checks ask for it where they could mean two things."""
        return self.request.dialect or Dialect.PHASE_6
