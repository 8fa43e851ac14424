"""What is wrong, in one look: probes that run beside each other, and none of which can keep the answer waiting."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from types import MappingProxyType

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from servicekit.operations.client_commands import ask
from servicekit.persistence.conflicts import turned_away
from servicekit.tasks import being_cancelled

PROBE_SECONDS = 2.0
"""How long a probe may take; what it did not say by then is a finding."""

log = structlog.get_logger("diagnostics")


class Severity(IntEnum):
    """How bad it is, in the contract's numbers."""

    OK = 1
    WARN = 2
    FAIL = 3


@dataclass(frozen=True)
class Figure:
    """The name, and the meaning, of a number that a probe sees: a gauge for Prometheus, in base units."""

    name: str
    help: str


Figures = Mapping[Figure, float]


@dataclass(frozen=True)
class Diagnosis:
    """What was seen, what was expected, and the command to try next; none where nothing is wrong."""

    severity: Severity
    description: str
    next_command: str = ""
    figures: Figures = field(default_factory=dict, compare=False)
    """What was seen, in numbers; one that could not be had is not among them."""


@dataclass(frozen=True)
class Probe:
    """What is asked, and answers with a diagnosis."""

    ask: Callable[[], Awaitable[Diagnosis]]
    unanswered: str
    """The command to try next where it does not answer, or what it asks cannot be reached."""

    async def __call__(self) -> Diagnosis:
        return await self.ask()


Look = Callable[[AsyncConnection], Awaitable[Diagnosis]]
"""A probe that needs a connection."""


def fine(description: str, figures: Figures = MappingProxyType({})) -> Diagnosis:
    """Nothing is wrong."""
    return Diagnosis(Severity.OK, description, figures=figures)


def over(engine: AsyncEngine, look: Look) -> Probe:
    """The probe over a connection of its own, so that one that hangs keeps no other waiting."""

    async def ask_database() -> Diagnosis:
        async with engine.connect() as connection:
            return await look(connection)

    return Probe(ask_database, ask(engine.url))


async def diagnose(probes: Mapping[str, Probe], seconds: float = PROBE_SECONDS) -> dict[str, Diagnosis]:
    """What each probe says, in their order, after so many seconds at most."""
    tasks = {name: asyncio.create_task(_answer(name, probe)) for name, probe in probes.items()}
    try:
        await asyncio.wait(tasks.values(), timeout=seconds)
    finally:
        for task in tasks.values():
            # Not awaited: to end a connection that hangs may take as long as the hanging.
            task.cancel()
    return {
        name: task.result()
        if task.done()
        else Diagnosis(
            Severity.FAIL,
            f"no answer within {seconds:g} s: what it asks hangs, or is locked",
            probes[name].unanswered,
        )
        for name, task in tasks.items()
    }


async def _answer(name: str, probe: Probe) -> Diagnosis:
    try:
        return await probe()
    except (OSError, SQLAlchemyError) as error:
        log.warning("probe failed", probe=name, error=type(error).__name__)
        told = f"the database could not be asked ({turned_away(error) or type(error).__name__})"
        return Diagnosis(Severity.FAIL, told, probe.unanswered)
    # A driver may make a CancelledError of its own, which is a failure like any other.
    except (Exception, asyncio.CancelledError):
        if being_cancelled():
            raise
        log.exception("probe failed", probe=name)
        told = "the probe itself failed: 'probe failed' in this server's log says how"
        return Diagnosis(Severity.FAIL, told, probe.unanswered)
