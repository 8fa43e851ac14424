"""Who may call what: the file of callers, in which every method is named that somebody may call."""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from typing import Any

from google.protobuf import descriptor_pool

from servicekit.calls import ROLES


class CallersInvalid(Exception):
    """The file of callers cannot be used; the message has a line for everything that is wrong with it."""


@dataclass(frozen=True)
class Rights:
    """What one caller may do. `roles` are those that it may name in the metadata actor-role."""

    methods: frozenset[str] = frozenset()
    """Full names: /package.Service/Method."""
    roles: frozenset[str] = frozenset()


Callers = Mapping[str, Rights]


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
    return {name: _rights(table) for name, table in tables.items()}


def _rights(table: Mapping[str, list[str]]) -> Rights:
    methods = {
        f"/{service}/{method}" for service, names in table.items() if service != "roles" for method in names
    }
    return Rights(frozenset(methods), frozenset(table.get("roles", ())))


def _problems(tables: Mapping[str, Any], services: tuple[str, ...]) -> Iterator[str]:
    known = {"roles": list(ROLES)} | {service: _methods(service) for service in services}
    for caller, table in tables.items():
        if not isinstance(table, dict):
            yield f"{caller} must be a table, [{caller}]"
            continue
        for key, names in table.items():
            if key not in known:
                yield f"{caller}: there is no {key} here, only {', '.join(known)}"
            elif not isinstance(names, list):
                yield f"{caller}: {key} must be a list"
            else:
                for name in names:
                    if name not in known[key]:
                        yield f"{caller}: {key} has no {name}"


def _methods(service: str) -> list[str]:
    return list(descriptor_pool.Default().FindServiceByName(service).methods_by_name)
