from dataclasses import dataclass, field
from pathlib import Path

import pytest

from servicekit.settings import DatabaseSettings, SettingsInvalid, read, shown


@dataclass(frozen=True)
class Shop:
    database_url: str = field(metadata={"help": "where the shop's books are"})
    photos: Path = field(metadata={"help": "the folder of the photos"})
    port: int = 7000
    pause_seconds: float = 1.0


COMPLETE = {"SHOP_DATABASE_URL": "postgresql+asyncpg://u:p@h/d", "SHOP_PHOTOS": "/srv/photos"}


def test_what_is_not_set_has_its_default() -> None:
    assert read(Shop, "SHOP", COMPLETE) == Shop("postgresql+asyncpg://u:p@h/d", Path("/srv/photos"))


def test_what_is_set_is_read_in_its_type() -> None:
    environment = COMPLETE | {
        "SHOP_PORT": "0",
        "SHOP_PAUSE_SECONDS": "0.25",
        "PORT": "9",
    }

    settings = read(Shop, "SHOP", environment)

    assert (settings.port, settings.pause_seconds) == (0, 0.25)


def test_every_problem_is_named_at_once() -> None:
    environment = {"SHOP_PORT": "x", "SHOP_PAUSE_SECONDS": "soon", "SHOP_PHOTOS": ""}

    with pytest.raises(SettingsInvalid) as refused:
        read(Shop, "SHOP", environment)

    assert refused.value.problems == [
        "SHOP_DATABASE_URL is not set: where the shop's books are",
        "SHOP_PHOTOS is not set: the folder of the photos",
        "SHOP_PORT: must be a number",
        "SHOP_PAUSE_SECONDS: must be a number",
    ]
    assert str(refused.value).count("\n") == 3


@pytest.mark.parametrize(
    "url",
    [
        "mysql+asyncmy://user:canary@host:3306/db",
        "mysql+asyncmy://user:canary@/db?unix_socket=/run/sql.sock",
        "mysql+asyncmy://user:ca:na@canary@host/db",
        "postgresql+asyncpg://:canary@host/db",
        "postgresql+asyncpg://host/db?user=u&password=canary&ssl=disable",
        "postgresql+asyncpg://host/db?PASSWORD=canary",
        "host=h password=canary dbname=d",
    ],
)
def test_no_password_is_shown(url: str) -> None:
    seen = shown(Shop(url, Path("/srv/photos")))

    assert "canary" not in str(seen)
    assert "***" in seen["database_url"]
    assert "db" in seen["database_url"]


def test_what_is_no_secret_is_shown_as_it_is() -> None:
    seen = shown(Shop("postgresql+asyncpg://u@h:5432/d", Path("/srv/photos")))

    assert seen == {
        "database_url": "postgresql+asyncpg://u@h:5432/d",
        "photos": "/srv/photos",
        "port": "7000",
        "pause_seconds": "1.0",
    }


def test_what_a_service_cannot_run_with_is_refused_before_it_starts() -> None:
    environment = {"SHOP_DATABASE_URL": "sqlite:///books.db", "SHOP_LOG_LEVEL": "loud"}

    with pytest.raises(SettingsInvalid) as refused:
        read(DatabaseSettings, "SHOP", environment)

    assert refused.value.problems == [
        "SHOP_DATABASE_URL: must begin with postgresql+asyncpg:// or mysql+asyncmy://",
        "SHOP_LOG_LEVEL: must be debug, info, warning or error",
    ]
    assert read(DatabaseSettings, "SHOP", COMPLETE).log_level == "info"
