"""What the environment says to the delivery service."""

from dataclasses import dataclass, field
from pathlib import Path

import fsspec
from fsspec.core import split_protocol

from servicekit.settings import (
    LISTEN,
    Address,
    DatabaseSettings,
    ServerSettings,
    database_url,
    folder,
)


def evidence_url(text: str) -> str:
    """A store of photos that can be opened here; a local folder is made. Raises ValueError."""
    protocol, path = split_protocol(text)
    if protocol in (None, "file", "local"):
        if not Path(path).is_absolute():
            raise ValueError(
                "must be an absolute path or a URL, such as file:///folder or s3://bucket/prefix"
            )
        folder(Path(path))
        return text
    try:
        fsspec.get_filesystem_class(protocol)
    except (ImportError, ValueError) as error:
        raise ValueError(f"names a store that cannot be opened here: {error}") from None
    return text


@dataclass(frozen=True, kw_only=True)
class Database(DatabaseSettings):
    """What `migrate` reads."""

    database_url: str = database_url("mysql+asyncmy")


@dataclass(frozen=True, kw_only=True)
class Settings(ServerSettings, Database):
    """What `serve` reads. Each field is the variable DELIVERY_<FIELD>."""

    listen: Address = field(default="127.0.0.1:7412", metadata=LISTEN)
    inventory_address: Address = field(
        metadata={"help": "host:port of the inventory service", "least_port": 1}
    )
    evidence_url: str = field(
        metadata={
            "help": "where the photos are kept: a folder, or a URL such as s3://bucket/prefix",
            "parse": evidence_url,
        }
    )
    evidence_unused_days: float = field(
        # More than the 30 days for which a repeated upload is given its first answer: each upload begins them anew.
        default=45.0,
        metadata={"help": "how long a photo is kept that proves nothing, at least 31", "least": 31},
    )
    evidence_sweep_seconds: float = field(
        default=60.0, metadata={"help": "pause between looks into one of the 256 folders of photos"}
    )
    legacy_follow_seconds: float = field(
        default=1.0,
        metadata={"help": "pause between looks for what the old application wrote; 0: it is gone"},
    )
    relay_seconds: float = field(default=0.5, metadata={"help": "pause between looks into the outbox"})
    relay_lease_seconds: float = field(
        default=30.0, metadata={"help": "how long a relay may keep a command to itself", "least": 4}
    )
