"""What the environment says; the only reader of INVENTORY_* variables."""

import os
from dataclasses import dataclass, field

from servicekit import settings


@dataclass(frozen=True)
class Settings:
    """Each field is the variable INVENTORY_<FIELD>."""

    database_url: str = field(
        metadata={"help": "postgresql+asyncpg://user:password@host/database"},
    )
    listen: str = "127.0.0.1:7411"
    pool_size: int = 10
    sweep_seconds: float = 0.5
    drain_pause_seconds: float = 1.0
    log_level: str = "info"


def read() -> Settings:
    """Reads the environment. Raises SettingsInvalid with every problem."""
    return settings.read(Settings, "INVENTORY", os.environ)
