"""What a campaign is, and what one run of it counts."""

import asyncio
import math
import random
import time
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MOST_VIOLATIONS = 20
"""So many of a run are told; unless it is asked for fewer, nothing more is tried after them."""
NOTHING_TRIED = "nothing was tried"
"""How a violation begins that says only that a run met nothing to withstand."""


@dataclass
class Trial:
    """One run of a campaign: how far it is, what it survived, and what it found that may not be."""

    size: int
    """How many attempts are to be made."""
    seed: int
    folder: Path
    """Where its processes write their logs."""
    engine: str = ""
    """Which of the campaign's it is, where it has some."""
    until: float = math.inf
    """When its time is over, by the monotonic clock."""
    advance: Callable[[int], None] = lambda more: None
    """Told how many more attempts were made."""
    enough: int = MOST_VIOLATIONS
    """After so many violations nothing more is tried."""
    attempts: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    contention: Counter[str] = field(default_factory=Counter)
    """What shows that there was something to withstand."""
    violations: list[str] = field(default_factory=list)
    recoveries: list[float] = field(default_factory=list)
    """Seconds until the work went on: from the fault, or from when its cause was gone, as the campaign has it."""

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    @property
    def more(self) -> bool:
        """Whether there is more to be tried, time for it, and not enough found yet."""
        broken = len(self.violations) >= self.enough
        return self.attempts < self.size and time.monotonic() < self.until and not broken

    def attempted(self, more: int = 1) -> None:
        """So many more attempts were made."""
        self.attempts += more
        self.advance(more)

    def require(self, holds: bool, otherwise: str) -> None:
        """Remembers a violation unless this holds."""
        if not holds:
            self.violations.append(otherwise)


@dataclass(frozen=True)
class Campaign:
    """A way to try promises: `run` makes attempts while the trial wants `more` of them."""

    number: int
    title: str
    promises: Sequence[int]
    """Which of the promises it tries."""
    attempt: str
    """What is counted, in the plural."""
    short: int
    long: int
    run: Callable[[Trial], Awaitable[None]]
    contention: Sequence[str] = ()
    """What must have been seen at least once; a run without it proves nothing."""
    promises_on: Mapping[str, Sequence[int]] = field(default_factory=dict)
    """Which of them, by engine, where not all are tried on each."""
    with_servers: bool = True
    """Whether it needs database servers at all."""
    simulated: bool = False
    """Whether its faults are those of a simulation."""
    engines: Sequence[str] = ("",)
    """Each tried to the full size: that of the service that is tried, which is inventory on Postgres, delivery on the
    others; or delivery's, where both are tried. One that is empty where delivery takes no part."""
    slowest_recovery: float = math.inf
    """What the 99th percentile of `recoveries` may be, in seconds."""

    def tries(self, promise: int, engine: str) -> bool:
        """Whether a run on this engine tries the promise."""
        return promise in self.promises_on.get(engine, self.promises)

    async def judge(self, trial: Trial) -> None:
        """Runs it, and adds the violations that only the end shows."""
        await self.run(trial)
        for name in self.contention:
            trial.require(trial.contention[name] > 0, f"{NOTHING_TRIED}: {name}: 0")
        late = percentile(trial.recoveries, 0.99)
        trial.require(late <= self.slowest_recovery, f"recovery took {late:.1f} s at the 99th percentile")


async def together(*works: Coroutine[Any, Any, None]) -> None:
    """Does all of this at once. Where one fails, the others have ended before it is told."""
    async with asyncio.TaskGroup() as group:
        for work in works:
            group.create_task(work)


async def call_off(*tasks: asyncio.Task[None]) -> None:
    """Ends tasks that go on until they are told. Raises what one has failed with: since then it did not do its part."""
    for task in tasks:
        task.cancel()
    for end in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(end, Exception):
            raise end


def told(error: BaseException) -> str:
    """What kind of error it is and what it says, or the line where it was: an assertion seldom has words."""
    if not (said := str(error)):
        *_, at = traceback.extract_tb(error.__traceback__)
        said = f"{Path(at.filename).name}:{at.lineno}: {at.line}"
    return f"{type(error).__name__}: {said}"


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share of the values does not exceed; 0 of none."""
    if not values:
        return 0.0
    return sorted(values)[min(len(values) - 1, math.ceil(share * len(values)) - 1)]
