"""What the environment says; the only reader of DELIVERY_* variables."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from servicekit import settings


@dataclass(frozen=True)
class Settings:
    """Each field is the variable DELIVERY_<FIELD>."""

    database_url: str = field(
        metadata={"help": "mysql+asyncmy://user:password@host/database"},
    )
    inventory_address: str = field(metadata={"help": "host:port of the inventory service"})
    evidence_dir: Path = field(metadata={"help": "the folder that keeps the photos"})
    listen: str = "127.0.0.1:7412"
    pool_size: int = 10
    relay_seconds: float = 0.5
    drain_pause_seconds: float = 1.0
    log_level: str = "info"


def read() -> Settings:
    """Reads the environment. Raises SettingsInvalid with every problem."""
    return settings.read(Settings, "DELIVERY", os.environ)
