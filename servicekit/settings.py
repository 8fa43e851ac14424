"""Settings from the environment into a frozen dataclass; every missing or bad variable is named at once."""

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

S = TypeVar("S")


class SettingsInvalid(Exception):
    """Some variables are missing or bad; `problems` has a sentence for each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def read(kind: type[S], prefix: str, environment: Mapping[str, str]) -> S:
    """Reads `PREFIX_FIELD` for each field of the dataclass `kind`. Raises SettingsInvalid."""
    values: dict[str, Any] = {}
    problems: list[str] = []
    types = get_type_hints(kind)
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        name = f"{prefix}_{field.name.upper()}"
        text = environment.get(name, "")
        if not text:
            if field.default is dataclasses.MISSING:
                problems.append(f"{name} is not set: {field.metadata.get('help', 'it is required')}")
            continue
        try:
            values[field.name] = _parsed(types[field.name], text)
        except ValueError as error:
            problems.append(f"{name}: {error}")
    if problems:
        raise SettingsInvalid(problems)
    return kind(**values)


def shown(settings: object) -> dict[str, str]:
    """The settings as an operator may see them: passwords in URLs are masked."""
    fields = dataclasses.fields(settings)  # type: ignore[arg-type]
    return {field.name: _masked(str(getattr(settings, field.name))) for field in fields}


def _masked(text: str) -> str:
    text = re.sub(r"(://[^:/@\s]*):\S*@", r"\1:***@", text)
    return re.sub(r"(?i)((?:password|secret|token)=)[^&\s]*", r"\1***", text)


def _parsed(kind: Any, text: str) -> Any:
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise ValueError("must be true or false")
        return text.lower() == "true"
    if kind is int or kind is float:
        try:
            return kind(text)
        except ValueError:
            raise ValueError("must be a number") from None
    return Path(text) if kind is Path else text
