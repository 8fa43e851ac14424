"""Transactions upon a state in memory: work is given a copy of it, which becomes the state at the commit."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from enum import Enum, auto
from typing import Generic, Protocol, Self, TypeVar

from chaos.simulator.clock import Clock

U = TypeVar("U")
T = TypeVar("T")


class State(Protocol):
    """What a store keeps; its values never change, so that a copy is one of the references."""

    def copy(self) -> Self: ...


S = TypeVar("S", bound=State)


class Fate(Enum):
    """What happens to a transaction."""

    COMMITTED = auto()
    IN_CONFLICT = auto()
    """Others were in the way: it leaves nothing, and the work is run again."""
    LOST = auto()
    """The process dies before the commit."""
    UNHEARD = auto()
    """The process dies after the commit, and nobody hears of it."""


class ProcessDied(Exception):
    """The process that ran a transaction is no more; whether it was committed, only the store knows."""


class SimulatedTransactions(Generic[S, U]):
    """Runs one transaction after the other: what real ones do at once, they do as if in some such order."""

    def __init__(
        self,
        state: S,
        unit_of_work: Callable[[S, datetime], U],
        clock: Clock,
        fate: Callable[[], Fate] = lambda: Fate.COMMITTED,
    ) -> None:
        self.state = state
        self.fate = fate
        self._unit_of_work = unit_of_work
        self._clock = clock

    async def run(self, work: Callable[[U], Awaitable[T]], *, name: str = "") -> T:
        """Commits, or not. Raises ProcessDied, and what the work raises."""
        while True:
            fate = self.fate()
            state = self.state.copy()
            done = await work(self._unit_of_work(state, self._clock.now))
            if fate is Fate.IN_CONFLICT:
                continue
            if fate is not Fate.LOST:
                self.state = state
            if fate is not Fate.COMMITTED:
                raise ProcessDied
            return done

    async def read(self, work: Callable[[U], Awaitable[T]], *, one_snapshot: bool = False) -> T:
        """Never commits."""
        return await work(self._unit_of_work(self.state.copy(), self._clock.now))
