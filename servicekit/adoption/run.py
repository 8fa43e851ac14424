"""What one run of an adoption works with, and how it may end."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncEngine

from servicekit.reports.findings import Findings
from servicekit.schema.migrations import Progress, Schema


class AdoptionRefused(Exception):
    """The database cannot be adopted as it is; the message says why, and that nothing was changed."""


class AdoptionUnfinished(Exception):
    """The adoption was begun and is not finished; the message says how to go on."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the operator asks for; `time_zone` is that of times that do not say theirs (UTC)."""

    folder: Path
    time_zone: str | None = None
    dump_program: Path | None = None
    dry_run: bool = False
    without_backup: bool = False
    accept_differences: bool = False


R_co = TypeVar("R_co", bound=Request, covariant=True)


@dataclass(frozen=True)
class Run(Generic[R_co]):
    """The engine needs four connections; `tell` takes lines for the operator, `progress` shows how far work is."""

    engine: AsyncEngine
    schema: Schema
    request: R_co
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
