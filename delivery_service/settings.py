"""What the environment says to the delivery service."""

from dataclasses import dataclass, field
from pathlib import Path

from servicekit.settings import Address, DatabaseSettings, database_url


@dataclass(frozen=True, kw_only=True)
class Database(DatabaseSettings):
    """What `migrate` reads."""

    database_url: str = database_url("mysql+asyncmy")


@dataclass(frozen=True, kw_only=True)
class Settings(Database):
    """What `serve` reads. Each field is the variable DELIVERY_<FIELD>."""

    inventory_address: Address = field(
        metadata={"help": "host:port of the inventory service", "least_port": 1}
    )
    evidence_dir: Path = field(metadata={"help": "the folder that keeps the photos"})
    listen: Address = field(default="127.0.0.1:7412", metadata={"help": "host:port to serve on"})
    pool_size: int = field(default=10, metadata={"help": "connections to the database", "least": 1})
    relay_seconds: float = field(default=0.5, metadata={"help": "pause between looks into the outbox"})
    relay_lease_seconds: float = field(
        default=30.0, metadata={"help": "how long a relay may keep a command to itself", "least": 4}
    )
    drain_pause_seconds: float = field(
        default=1.0, metadata={"help": "time between NOT_SERVING and refusing new calls"}
    )
