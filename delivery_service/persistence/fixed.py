"""Core statements whose text is made once, for the ways that every package takes."""

import re
from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BindParameter, Insert, Select, Update
from sqlalchemy.dialects import mysql

# What is said here both engines say alike.
_DIALECT = mysql.dialect()
_LIST = re.compile(r"\(__\[POSTCOMPILE_\w+\]\)")
_VALUES = " VALUES "

Convert = Callable[[Any], Any]


@dataclass(frozen=True)
class Bound:
    """A fixed statement with its values, as the driver takes them."""

    fixed: "Fixed"
    text: str
    parameters: Sequence[Any]


class Fixed:
    """A statement of which only values change."""

    def __init__(self, statement: Select[Any] | Insert | Update, columns: Sequence[str] = ()) -> None:
        """`columns` are those that an INSERT or UPDATE is given. A list of values may stand where an IN is."""
        compiled = statement.compile(dialect=_DIALECT, column_keys=list(columns) or None)
        self.text = _LIST.sub("%s", str(compiled))
        self._names: Sequence[str] = compiled.positiontup or ()
        self._given = {
            name: parameter.effective_value
            for name, parameter in compiled.binds.items()
            if not parameter.required
        }
        self._converts = [_to_driver(compiled.binds[name]) for name in self._names]
        self._results: list[Convert | None] = []
        if isinstance(statement, Select):
            columns = [column.name for column in statement.selected_columns]
            self._row: Any = namedtuple("Row", columns)  # type: ignore[misc]
            self._results = [_from_driver(column.type) for column in statement.selected_columns]

    def __call__(self, **values: Any) -> Bound:
        """With these values, by the names of columns and parameters."""
        return Bound(self, self.text, self._parameters(values))

    def many(self, rows: Sequence[Mapping[str, Any]]) -> Bound:
        """An INSERT of all these rows."""
        head, row = self.text.split(_VALUES)
        parameters = [value for values in rows for value in self._parameters(values)]
        return Bound(self, head + _VALUES + ", ".join([row] * len(rows)), parameters)

    def rows(self, fetched: Sequence[Sequence[Any]]) -> list[Any]:
        """Rows of a SELECT, their values by name."""
        converted = [
            [
                value if convert is None else convert(value)
                for value, convert in zip(row, self._results, strict=True)
            ]
            for row in fetched
        ]
        return [self._row._make(row) for row in converted]

    def _parameters(self, values: Mapping[str, Any]) -> list[Any]:
        given = {**self._given, **values}
        return [
            given[name] if convert is None else convert(given[name])
            for name, convert in zip(self._names, self._converts, strict=True)
        ]


def _to_driver(parameter: BindParameter[Any]) -> Convert | None:
    if parameter.expanding:
        return tuple
    convert: Convert | None = parameter.type.dialect_impl(_DIALECT).bind_processor(_DIALECT)
    return convert


def _from_driver(kind: Any) -> Convert | None:
    convert: Convert | None = kind.dialect_impl(_DIALECT).result_processor(_DIALECT, None)
    return convert
