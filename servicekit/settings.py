"""Settings from the environment into a frozen dataclass; every missing or bad variable is named at once."""

import dataclasses
import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from servicekit.traces import collector

S = TypeVar("S")
MOST_NUMBER = 86_400
Address = Annotated[str, "host:port"]
_NO_SECRET = ("host", "port", "user", "unix_socket", "ssl", "charset")
"""The parameters of a database's URL that are shown as they are; whatever another one says may be secret."""
_OF_SQLALCHEMY = ("prepared_statement_cache_size",)
LISTEN = {"help": "host:port to serve on"}
LogLevel = Literal["debug", "info", "warning", "error"]


@dataclass(frozen=True, kw_only=True)
class DatabaseSettings:
    """What every command of a service needs; a service says which driver its URL must name."""

    database_url: str
    log_level: LogLevel = field(default="info", metadata={"help": "debug, info, warning or error"})


def database_url(driver: str) -> Any:
    """The field of a database's URL."""
    return field(metadata={"help": f"{driver}://user:password@host/database", "driver": driver})


def for_this_machine_only(address: str) -> bool:
    """Whether only this machine itself gets to a host:port."""
    host = address.rpartition(":")[0].strip("[]")
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def existing(text: str) -> str:
    """The path of a file or folder that is there. Raises ValueError."""
    if not Path(text).exists():
        raise ValueError("does not exist")
    return text


@dataclass(frozen=True, kw_only=True)
class TlsSettings:
    """What turns mTLS on, for servers and for callers: both or neither."""

    tls_folder: str = field(
        default="",
        metadata={
            "help": "folder with tls.crt and tls.key; with it and the CA all speak mTLS, without plaintext",
            "parse": existing,
            "needs": "tls_ca",
        },
    )
    tls_ca: str = field(
        default="",
        metadata={
            "help": "PEM file of who signs the certificates of callers and services",
            "parse": existing,
            "needs": "tls_folder",
        },
    )


@dataclass(frozen=True, kw_only=True)
class ServerSettings(TlsSettings):
    """What both services read to serve; a service says where it listens unless it is told."""

    listen: Address = field(metadata=LISTEN)
    callers: str = field(
        default="",
        metadata={
            "help": "TOML file of who may call what with mTLS; the one in the package unless set",
            "parse": existing,
            "needs": "tls_folder",
        },
    )
    admin_listen: Address = field(
        default="",
        metadata={"help": "host:port for operators: OpsService, reflection, channelz; see below unless set"},
    )
    metrics_listen: Address = field(
        default="", metadata={"help": "host:port where Prometheus reads /metrics; none unless set"}
    )
    diagnose_seconds: float = field(
        default=15.0, metadata={"help": "pause between the diagnoses that /metrics tells of", "least": 1}
    )
    otlp_endpoint: str = field(
        default="",
        metadata={"help": "URL of the collector that is sent traces; none unless set", "parse": collector},
    )
    pool_size: int = field(default=10, metadata={"help": "connections to the database", "least": 1})
    drain_pause_seconds: float = field(
        default=1.0, metadata={"help": "time between NOT_SERVING and refusing new calls"}
    )


def admin_address(listen: str, admin_listen: str, otherwise: str) -> str:
    """Where operators are served: where they are said to be, else beside the others, else at `otherwise`.

    Beside the others only where nobody but this machine gets: there an address of their own would guard nothing.
    """
    return admin_listen or (listen if for_this_machine_only(listen) else otherwise)


class SettingsInvalid(Exception):
    """Some variables are missing or bad; `problems` has a sentence for each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def read(kind: type[S], prefix: str, environment: Mapping[str, str]) -> S:
    """Reads `PREFIX_FIELD` for each field of the dataclass `kind`. Raises SettingsInvalid."""
    values: dict[str, Any] = {}
    problems: list[str] = []
    types = get_type_hints(kind, include_extras=True)
    for setting in dataclasses.fields(kind):  # type: ignore[arg-type]
        name = f"{prefix}_{setting.name.upper()}"
        text = environment.get(name, "")
        if not text:
            if setting.default is dataclasses.MISSING:
                problems.append(f"{name} is not set: {setting.metadata.get('help', 'it is required')}")
            continue
        try:
            values[setting.name] = _parsed(types[setting.name], setting, text)
        except ValueError as error:
            problems.append(f"{name}: {error}")
        needed = f"{prefix}_{setting.metadata.get('needs', '').upper()}"
        if "needs" in setting.metadata and not environment.get(needed):
            problems.append(f"{needed} is not set: {name} needs it")
    if problems:
        raise SettingsInvalid(problems)
    return kind(**values)


def shown(settings: object) -> dict[str, str]:
    """The settings as an operator may see them: without what a URL may keep secret."""
    fields = dataclasses.fields(settings)  # type: ignore[arg-type]
    return {field.name: _masked(field, str(getattr(settings, field.name))) for field in fields}


def _masked(setting: dataclasses.Field[Any], text: str) -> str:
    if "driver" in setting.metadata:
        return _masked_url(make_url(text))
    scheme, separator, rest = text.partition("://")
    if not separator:
        return text
    place, question, _ = rest.partition("?")
    _, at, place = place.rpartition("@")
    return f"{scheme}://{'***@' if at else ''}{place}{'?***' if question else ''}"


def _masked_url(url: URL) -> str:
    shown = url.set(query={}).render_as_string(hide_password=True)
    parameters = [f"{name}={value if name in _NO_SECRET else '***'}" for name, value in url.query.items()]
    return "?".join([shown, *(["&".join(parameters)] if parameters else [])])


def _parsed(kind: Any, setting: dataclasses.Field[Any], text: str) -> Any:
    if "parse" in setting.metadata:
        return setting.metadata["parse"](text)
    if get_origin(kind) is Literal:
        return _one_of(get_args(kind), text)
    if kind is int or kind is float:
        return _number(kind, setting.metadata.get("least", 0), text)
    if kind == Address:
        return _address(text, setting.metadata.get("least_port", 0))
    if kind is Path:
        return folder(Path(text))
    return _url(text, setting.metadata["driver"]) if "driver" in setting.metadata else text


def _one_of(choices: tuple[str, ...], text: str) -> str:
    if text not in choices:
        raise ValueError(f"must be {', '.join(choices[:-1])} or {choices[-1]}")
    return text


def _number(kind: type[int] | type[float], least: int, text: str) -> float:
    try:
        number = kind(text)
    except ValueError:
        raise ValueError("must be a number") from None
    if not least <= number <= MOST_NUMBER:
        raise ValueError(f"must be from {least} to {MOST_NUMBER}")
    return number


def _address(text: str, least_port: int) -> str:
    host, _, port = text.rpartition(":")
    if not (host and port.isascii() and port.isdecimal() and least_port <= int(port) <= 65535):
        raise ValueError(f"must be host:port, the port from {least_port} to 65535")
    return text


def folder(path: Path) -> Path:
    """The folder, made where it is missing. Raises ValueError where it cannot be written to."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"must be a folder that can be written to: {error.strerror}") from None
    if not os.access(path, os.W_OK | os.X_OK):
        raise ValueError("must be a folder that can be written to")
    return path


def _url(text: str, driver: str) -> str:
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise ValueError(f"must be a URL, {driver}://user:password@host/database") from None
    if url.drivername != driver:
        raise ValueError(f"must begin with {driver}://")
    # The rest of a name or a password would be taken for the host or the database, and be told wherever those are.
    if "@" in f"{url.host}{url.database}":
        raise ValueError("must write @, : and / within the user's name and password as %40, %3A and %2F")
    try:
        _, given = url.get_dialect()().create_connect_args(url)
    except ValueError:
        raise ValueError("has text where a parameter is a number") from None
    known = (*signature(import_module(url.get_driver_name()).connect).parameters, *_OF_SQLALCHEMY)
    unknown = [name for name in given if name not in known]
    if unknown:
        raise ValueError(f"has parameters that {url.get_driver_name()} does not know: {', '.join(unknown)}")
    return text
