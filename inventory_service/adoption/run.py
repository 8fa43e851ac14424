"""What one run of an adoption of stocks works with."""

from dataclasses import dataclass
from pathlib import Path

from servicekit.adoption import run


@dataclass(frozen=True, kw_only=True)
class Request(run.Request):
    """What the operator asks for."""

    sku_map: Path | None = None


Run = run.Run[Request]
