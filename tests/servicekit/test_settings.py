from dataclasses import dataclass, field
from pathlib import Path

import pytest

from servicekit.settings import (
    Address,
    DatabaseSettings,
    ServerSettings,
    SettingsInvalid,
    database_url,
    read,
    shown,
)


@dataclass(frozen=True)
class Shop:
    database_url: str = field(metadata={"help": "where the shop's books are"})
    photos: Path = field(metadata={"help": "the folder of the photos"})
    port: int = 7000
    pause_seconds: float = 1.0


COMPLETE = {"SHOP_DATABASE_URL": "postgresql+asyncpg://u:p@h/d", "SHOP_PHOTOS": "/tmp"}


def test_what_is_not_set_has_its_default() -> None:
    assert read(Shop, "SHOP", COMPLETE) == Shop("postgresql+asyncpg://u:p@h/d", Path("/tmp"))


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
        "mysql+asyncmy://user:ca:canary@host/db",
        "mysql+asyncmy://a user:\tcanary x@host/db",
        "postgresql+asyncpg://a\tuser:a canary@host/db",
        "postgresql+asyncpg://:canary@host/db",
        "postgresql+asyncpg://host/db?user=u&password=canary&ssl=disable",
        "postgresql+asyncpg://host/db?PASSWORD=canary",
        "postgresql+asyncpg://host/db?passfile=a canary",
    ],
)
def test_no_password_of_a_database_is_shown(url: str) -> None:
    seen = shown(Till(database_url=url))["database_url"]

    assert "canary" not in seen
    assert "***" in seen
    assert "db" in seen


@pytest.mark.parametrize(
    "url",
    [
        "s3://user:canary@photos/db",
        "s3://canary@photos/db",
        "s3://a user:can/canary x@photos/db",
        "simplecache::s3://photos/db?api-key=canary",
        "s3://photos/db?a@b&key=canary",
    ],
)
def test_no_secret_of_another_url_is_shown(url: str) -> None:
    seen = shown(Shop(url, Path("/srv/photos")))["database_url"]

    assert "canary" not in seen
    assert "***" in seen
    assert "photos/db" in seen


def test_what_is_no_secret_is_shown_as_it_is() -> None:
    url = "mysql+asyncmy://u@/d?unix_socket=/run/sql.sock&charset=utf8mb4"
    assert shown(Till(database_url=url))["database_url"] == url

    seen = shown(Shop("s3://photos/db", Path("/srv/photos")))

    assert seen == {
        "database_url": "s3://photos/db",
        "photos": "/srv/photos",
        "port": "7000",
        "pause_seconds": "1.0",
    }


@dataclass(frozen=True, kw_only=True)
class Stall(DatabaseSettings):
    database_url: str = database_url("postgresql+asyncpg")
    listen: Address = "127.0.0.1:7000"
    supplier: Address = field(default="127.0.0.1:7001", metadata={"least_port": 1})
    photos: Path
    pool_size: int = field(default=10, metadata={"least": 1})


@dataclass(frozen=True, kw_only=True)
class Boat(DatabaseSettings):
    database_url: str = database_url("mysql+asyncmy")


@dataclass(frozen=True, kw_only=True)
class Till(DatabaseSettings):
    database_url: str = database_url("postgresql+asyncpg")


def test_what_a_service_cannot_run_with_is_refused_before_it_starts(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    environment = {
        "SHOP_DATABASE_URL": "mysql+asyncmy://u:p@h/d",
        "SHOP_LOG_LEVEL": "loud",
        "SHOP_LISTEN": "127.0.0.1:99999",
        "SHOP_SUPPLIER": "127.0.0.1:0",
        "SHOP_PHOTOS": str(tmp_path / "file"),
        "SHOP_POOL_SIZE": "100000000",
    }

    with pytest.raises(SettingsInvalid) as refused:
        read(Stall, "SHOP", environment)

    assert refused.value.problems == [
        "SHOP_DATABASE_URL: must begin with postgresql+asyncpg://",
        "SHOP_LOG_LEVEL: must be debug, info, warning or error",
        "SHOP_LISTEN: must be host:port, the port from 0 to 65535",
        "SHOP_SUPPLIER: must be host:port, the port from 1 to 65535",
        "SHOP_PHOTOS: must be a folder that can be written to: File exists",
        "SHOP_POOL_SIZE: must be from 1 to 86400",
    ]


@pytest.mark.parametrize("url", ["u:can@ary@h/d", "u/n:canary@h/d", "u:can?ary@x@h/d"])
def test_a_password_whose_rest_would_be_the_host_or_the_database_is_refused_and_not_quoted(url: str) -> None:
    with pytest.raises(SettingsInvalid) as refused:
        read(Till, "SHOP", {"SHOP_DATABASE_URL": f"postgresql+asyncpg://{url}"})

    assert refused.value.problems == [
        "SHOP_DATABASE_URL: must write @, : and / within the user's name and password as %40, %3A and %2F"
    ]


@pytest.mark.parametrize(
    ("kind", "url", "problem"),
    [
        (
            Till,
            "postgresql+asyncpg://h/d?ssl=disable&sslmode=off&nope=1",
            "asyncpg does not know: sslmode, nope",
        ),
        (Boat, "mysql+asyncmy://h/d?charset=utf8mb4&nope=1", "asyncmy does not know: nope"),
        (Boat, "mysql+asyncmy://h/d?connect_timeout=soon", "has text where a parameter is a number"),
    ],
)
def test_a_parameter_that_the_driver_does_not_know_is_refused(kind: type, url: str, problem: str) -> None:
    with pytest.raises(SettingsInvalid) as refused:
        read(kind, "SHOP", {"SHOP_DATABASE_URL": url})

    assert str(refused.value).endswith(problem)


@pytest.mark.parametrize("address", ["", "nowhere", ":7000", "127.0.0.1:", "127.0.0.1:-5", "127.0.0.1:7e3"])
def test_an_address_has_a_host_and_a_port(address: str) -> None:
    with pytest.raises(SettingsInvalid) as refused:
        read(Stall, "SHOP", COMPLETE | {"SHOP_LISTEN": address or " "})
    assert len(refused.value.problems) == 1


@pytest.mark.parametrize(
    ("given", "problems"),
    [
        ({}, []),
        ({"SHOP_TLS_FOLDER": "/", "SHOP_TLS_CA": "/"}, []),
        ({"SHOP_TLS_FOLDER": "/"}, ["SHOP_TLS_CA is not set: SHOP_TLS_FOLDER needs it"]),
        ({"SHOP_TLS_CA": "/"}, ["SHOP_TLS_FOLDER is not set: SHOP_TLS_CA needs it"]),
        ({"SHOP_CALLERS": "/"}, ["SHOP_TLS_FOLDER is not set: SHOP_CALLERS needs it"]),
        (
            {"SHOP_TLS_FOLDER": "/nowhere", "SHOP_TLS_CA": "/nowhere"},
            ["SHOP_TLS_FOLDER: does not exist", "SHOP_TLS_CA: does not exist"],
        ),
    ],
)
def test_certificates_are_set_whole_or_not_at_all(given: dict[str, str], problems: list[str]) -> None:
    try:
        read(ServerSettings, "SHOP", {"SHOP_LISTEN": "127.0.0.1:0", **given})
    except SettingsInvalid as refused:
        assert refused.problems == problems
    else:
        assert problems == []
