"""What the environment says to the inventory service."""

from dataclasses import dataclass, field

from servicekit.settings import (
    LISTEN,
    Address,
    DatabaseSettings,
    ServerSettings,
    TlsSettings,
    database_url,
)


@dataclass(frozen=True, kw_only=True)
class Database(DatabaseSettings):
    """What `migrate` reads."""

    database_url: str = database_url("postgresql+asyncpg")


@dataclass(frozen=True, kw_only=True)
class Archive(Database):
    """What `archive` reads."""

    archive_dir: str = field(default="", metadata={"help": "the folder of the ledger's archived months"})


@dataclass(frozen=True, kw_only=True)
class Client(TlsSettings):
    """What `import` and `export` read, which call a service that runs."""

    address: Address = field(default="127.0.0.1:7411", metadata={"help": "host:port of the service"})


@dataclass(frozen=True, kw_only=True)
class Settings(ServerSettings, Database):
    """What `serve` reads. Each field is the variable INVENTORY_<FIELD>."""

    listen: Address = field(default="127.0.0.1:7411", metadata=LISTEN)
    sweep_seconds: float = field(
        default=0.5, metadata={"help": "pause between looks for due holds and low stock"}
    )
    facts_seconds: float = field(
        default=1.0, metadata={"help": "pause between looks for movements to count into the daily facts"}
    )
    metrics_refresh_seconds: float = field(
        default=3600.0, metadata={"help": "age at which the metrics view is refreshed; 0 leaves it to others"}
    )
    ledger_months_ahead: int = field(
        default=3, metadata={"help": "months whose partitions of the ledger are made ahead", "least": 1}
    )
