"""Who may call what: the file of callers, in which every method is named that somebody may call."""

import math
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from typing import Any

import structlog
from google.protobuf import descriptor_pool

from servicekit.calls import ROLES
from servicekit.identities import can_be_named

log = structlog.get_logger("callers")


class CallersInvalid(Exception):
    """The file of callers cannot be used; the message has a line for everything that is wrong with it."""


@dataclass(frozen=True)
class Rights:
    """What one caller may do. `roles` are those that it may name in the metadata actor-role."""

    methods: frozenset[str] = frozenset()
    """Full names: /package.Service/Method."""
    roles: frozenset[str] = frozenset()
    calls_per_second: float | None = None
    """At each process of the service; None is as many as it can take."""


Callers = Mapping[str, Rights]

_WORDS = ("roles", "calls_per_second")
"""What a caller's table has beside the services."""


def read_callers(file: Traversable, services: tuple[str, ...]) -> Callers:
    """The rights of each caller that the file names: nobody else may do anything.

    `services` are the full names of those that are served. Raises CallersInvalid.
    """
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise CallersInvalid(f"{file} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CallersInvalid(f"{file} is no TOML: {error}") from None
    if problems := list(_problems(tables, services)):
        raise CallersInvalid("\n".join(f"{file}: {problem}" for problem in problems))
    if not tables:
        log.warning("the file of callers names nobody: every call is refused", file=str(file))
    return {name: _rights(table) for name, table in tables.items()}


def _rights(table: Mapping[str, Any]) -> Rights:
    methods = {
        f"/{service}/{method}"
        for service, names in table.items()
        if service not in _WORDS
        for method in names
    }
    return Rights(frozenset(methods), frozenset(table.get("roles", ())), table.get("calls_per_second"))


def _problems(tables: Mapping[str, Any], services: tuple[str, ...]) -> Iterator[str]:
    known = {"roles": list(ROLES)} | {service: _methods(service) for service in services}
    for caller, table in tables.items():
        if not can_be_named(caller):
            yield f"{caller}: no certificate names anybody so; a name follows the trust domain, as in shop/checkout"
        if not isinstance(table, dict):
            yield f"{caller} must be a table, [{caller}]"
            continue
        for key, names in table.items():
            if key == "calls_per_second":
                if isinstance(names, bool) or not isinstance(names, int | float) or not 0 < names < math.inf:
                    yield f"{caller}: calls_per_second must be a number above 0"
            elif key not in known:
                yield f"{caller}: there is no {key} here, only calls_per_second, {', '.join(known)}"
            elif not isinstance(names, list):
                yield f"{caller}: {key} must be a list"
            else:
                for name in names:
                    if name not in known[key]:
                        yield f"{caller}: {key} has no {name}"


def _methods(service: str) -> list[str]:
    return list(descriptor_pool.Default().FindServiceByName(service).methods_by_name)
