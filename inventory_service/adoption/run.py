"""What one run of an adoption works with."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncEngine

from servicekit.findings import Findings
from servicekit.migrations import Progress, Schema


class AdoptionRefused(Exception):
    """The database cannot be adopted as it is; the message says why, and that nothing was changed."""


class AdoptionUnfinished(Exception):
    """The adoption was begun and is not finished; the message says how to go on."""


@dataclass(frozen=True)
class Request:
    """What the operator asks for; `time_zone` is that of times without one."""

    folder: Path
    sku_map: Path | None = None
    time_zone: str | None = None
    pg_dump: Path | None = None
    dry_run: bool = False
    without_backup: bool = False
    accept_differences: bool = False


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
        """The zone of times that do not say theirs."""
        return ZoneInfo(self.request.time_zone or "UTC")
