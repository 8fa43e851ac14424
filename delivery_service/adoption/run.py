"""What one run of an adoption of packages works with."""

from dataclasses import dataclass
from enum import StrEnum

from servicekit.adoption import run


class Dialect(StrEnum):
    """What the legacy numbers mean; the value is what the operator says."""

    PHASE_6 = "phase6"
    """6 is completed, 7 is cancelled; shipping_type 0 is to a warehouse, 1 to the user."""
    OF_2025_12 = "2025-12"
    """6 is claimed, 7 is delivered; shipping_type 1 is to a warehouse, 0 to the user."""


@dataclass(frozen=True, kw_only=True)
class Request(run.Request):
    """What the operator asks for; `time_zone` is that of the DATETIMEs, none of which say theirs."""

    dialect: Dialect | None = None
    accept_sessions: bool = False


class Run(run.Run[Request]):
    """A run with what its packages' numbers mean."""

    @property
    def dialect(self) -> Dialect:
        """What the numbers mean; the checks ask for it where they could mean two things."""
        return self.request.dialect or Dialect.PHASE_6
