"""What a piece of work sends to its engine: how many statements, in how many round trips, and how long each takes."""

import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.connectors.asyncio import AsyncAdapt_dbapi_connection, AsyncAdapt_dbapi_cursor
from sqlalchemy.dialects.mysql.asyncmy import AsyncAdapt_asyncmy_connection

_SEPARATOR = ";\n"
_SHORT = re.compile(r"(SELECT|INSERT INTO|UPDATE|DELETE FROM)\b(?:.*?\bFROM)?\s+(\S+)", re.DOTALL)


@dataclass
class Steps:
    """Round trips by what they carry, with the seconds that each took."""

    taken: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    @property
    def round_trips(self) -> int:
        """How many there were."""
        return sum(len(seconds) for seconds in self.taken.values())

    @property
    def statements(self) -> int:
        """How many they carried; what ends a transaction and what asks whether a connection lives counts, too."""
        return sum(len(seconds) * (name.count(" + ") + 1) for name, seconds in self.taken.items())


@contextmanager
def recorded_steps() -> Iterator[Steps]:
    """Records what every connection sends until the block ends."""
    steps = Steps()

    def timed(name_of: Callable[..., str], original: Callable[..., Any]) -> Callable[..., Any]:
        def send(*args: Any, **kwargs: Any) -> Any:
            begin = time.perf_counter()
            try:
                return original(*args, **kwargs)
            finally:
                steps.taken[name_of(*args)].append(time.perf_counter() - begin)

        return send

    places: list[tuple[Any, str, Callable[..., str]]] = [
        (AsyncAdapt_dbapi_cursor, "execute", lambda _, text, *__: _names(text)),
        (AsyncAdapt_dbapi_cursor, "executemany", lambda _, text, *__: _names(text)),
        (AsyncAdapt_dbapi_connection, "commit", lambda _: "COMMIT"),
        (AsyncAdapt_dbapi_connection, "rollback", lambda _: "ROLLBACK, on the way back to the pool"),
        (AsyncAdapt_asyncmy_connection, "ping", lambda *_: "PING, on the way out of the pool"),
    ]
    originals = [getattr(owner, name) for owner, name, _ in places]
    for (owner, name, name_of), original in zip(places, originals, strict=True):
        setattr(owner, name, timed(name_of, original))
    try:
        yield steps
    finally:
        for (owner, name, _), original in zip(places, originals, strict=True):
            setattr(owner, name, original)


def _names(text: str) -> str:
    return " + ".join(_name(part) for part in text.split(_SEPARATOR))


def _name(text: str) -> str:
    found = _SHORT.match(text.strip())
    if found is None or "utc_timestamp" in text[:40]:
        return " ".join(text.split()[:2])
    lock = " FOR UPDATE" if "FOR UPDATE" in text else ""
    return f"{found[1].split()[0]} {found[2]}{lock}"
