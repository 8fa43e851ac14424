"""Who may call what: the file of callers, in which every method is named that somebody may call."""

import math
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from typing import Any

import structlog
from google.protobuf import descriptor_pool

from servicekit.access.identities import can_be_named
from servicekit.rpc.calls import ROLES

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
    own_ids: re.Pattern[str] | None = None
    """What the ids look like that no other caller may take, where callers give ids to what they make."""


Callers = Mapping[str, Rights]

_WORDS = ("roles", "calls_per_second", "own_ids")
"""What a caller's table has beside the services."""


def read_callers(file: Traversable, services: tuple[str, ...], *, own_ids: bool = False) -> Callers:
    """The rights of each caller that the file names: nobody else may do anything.

    `services` are the full names of those that are served; `own_ids` says whether callers give ids there that may be
    one caller's own. Raises CallersInvalid.
    """
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise CallersInvalid(f"{file} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CallersInvalid(f"{file} is no TOML: {error}") from None
    if problems := list(_problems(tables, services, own_ids)):
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
    own_ids = re.compile(table["own_ids"]) if "own_ids" in table else None
    roles = frozenset(table.get("roles", ()))
    return Rights(frozenset(methods), roles, table.get("calls_per_second"), own_ids)


def _problems(tables: Mapping[str, Any], services: tuple[str, ...], own_ids: bool) -> Iterator[str]:
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
            elif key == "own_ids" and own_ids:
                if not _is_pattern(names):
                    yield f"{caller}: own_ids must be a regular expression"
            elif key not in known:
                words = ["calls_per_second", *(["own_ids"] if own_ids else []), *known]
                yield f"{caller}: there is no {key} here, only {', '.join(words)}"
            elif not isinstance(names, list):
                yield f"{caller}: {key} must be a list"
            else:
                for name in names:
                    if name not in known[key]:
                        yield f"{caller}: {key} has no {name}"


def _is_pattern(given: object) -> bool:
    try:
        return isinstance(given, str) and bool(re.compile(given))
    except re.error:
        return False


def _methods(service: str) -> list[str]:
    return list(descriptor_pool.Default().FindServiceByName(service).methods_by_name)
