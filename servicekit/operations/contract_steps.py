"""Removals that are run by name once their time has come: the steps in their order, and why one may not run yet."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from servicekit.schema.migrations import Schema

CONTRACT = "contract"
"""The kind of entry in the schema's history that a step leaves."""


class NotVerified(Exception):
    """What would be removed is not accounted for elsewhere; every complaint is named."""

    def __init__(self, complaints: Sequence[str]) -> None:
        super().__init__("\n".join(complaints))


@dataclass(frozen=True)
class ContractStep:
    """A removal that is run by name only; `reason` says why its time has not come, and is empty where it has."""

    name: str
    done: bool
    reason: str = ""

    @property
    def allowed(self) -> bool:
        """Whether it may be run now; the run itself verifies afresh."""
        return not self.done and not self.reason


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Where a database stands, as the guards of the steps look at it."""

    now: datetime
    applied: str
    """The applied revision, empty if there is none."""
    expected: str


S = TypeVar("S", bound=Standing)


@dataclass(frozen=True)
class Guard(Generic[S]):
    """When a step is done, and why it may not run yet, which is empty where it may."""

    done: Callable[[S], bool]
    why_not: Callable[[S], str]


@dataclass(frozen=True)
class Run(Generic[S]):
    """One thing that the command can do; `refusal` says why not now, `idle` that there is nothing to do."""

    change: Callable[[AsyncConnection, S], Awaitable[None]]
    done: str
    refusal: Callable[[S], str]
    idle: Callable[[S], bool]


class Steps(Generic[S]):
    """A service's steps, oldest first, and how it reads where a database stands."""

    def __init__(self, guards: Mapping[str, Guard[S]], read: Callable[[Connection, str], S]) -> None:
        self._guards = guards
        self._read = read

    def refusal(self, name: str) -> Callable[[S], str]:
        """Why a step may not run now; empty where it may, or is done."""
        guard = self._guards[name]
        return lambda standing: "" if guard.done(standing) else guard.why_not(standing)

    def idle(self, name: str) -> Callable[[S], bool]:
        """Whether a step is done."""
        return self._guards[name].done

    async def stand(self, engine: AsyncEngine, schema: Schema) -> list[ContractStep]:
        """How each step stands, by its age and its order; only a run verifies."""
        async with engine.connect() as connection:
            standing = await connection.run_sync(self._read, schema.expected)
        return [
            ContractStep(name, guard.done(standing), self.refusal(name)(standing))
            for name, guard in self._guards.items()
        ]

    async def tell(self, engine: AsyncEngine, schema: Schema) -> None:
        """Lists them for an operator."""
        for step in await self.stand(engine, schema):
            state = "done" if step.done else "allowed" if step.allowed else "not yet"
            print(f"{step.name:30} {state:8} {step.reason}".rstrip())


def not_at_head(standing: Standing) -> str:
    """Why no step may run on another schema than this build's; empty where it is this build's."""
    if standing.applied == standing.expected:
        return ""
    return f"the schema is at {standing.applied or 'nothing'}, this build expects {standing.expected}"


def unrecorded(revision: str, wait: timedelta) -> str:
    """What to do where nobody recorded since when a time must pass."""
    return (
        f"nobody recorded when revision {revision} was applied: run `migrate upgrade` once, and the"
        f" {wait.days} days count from then"
    )


def still_waiting(standing: Standing, what: str, since: datetime, wait: timedelta) -> str:
    """Until when the time must pass that began with `what`; empty where it has passed."""
    if standing.now >= since + wait:
        return ""
    return f"{what} {since:%Y-%m-%d %H:%M} UTC, its {wait.days} days end at {since + wait:%Y-%m-%d %H:%M}"
