"""A wish that somebody waits for."""

import asyncio
import time
from dataclasses import dataclass, field

from inventory_service.application.answer_wishes import Answer, Wish
from inventory_service.application.locks import Kind, Lockable
from inventory_service.domain.commands import ExtendReservation, ReserveStock
from servicekit import traces


@dataclass(eq=False)
class PendingWish:
    """A wish, since when, and the future that its caller awaits; it is cancelled when the caller gives up."""

    wish: Wish
    answer: asyncio.Future[Answer] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    since: float = field(default_factory=time.monotonic)
    traceparent: str = field(default_factory=traces.here)

    @property
    def lines(self) -> int:
        """How many stocks it is about, as far as can be told before anything is read."""
        command = self.wish.command
        return len(command.quantities) if isinstance(command, ReserveStock) else 1

    @property
    def reservation(self) -> Lockable:
        """The name that it locks in any case."""
        return Lockable(Kind.RESERVATION, self.wish.command.reservation_id)

    @property
    def knows_its_effect(self) -> bool:
        """Whether it can be run again after a commit of which nobody knows whether it took."""
        command = self.wish.command
        etag = isinstance(command, ExtendReservation) and command.expected_version is not None
        return self.wish.request is not None or not etag

    def settle(self, answer: Answer | Exception) -> None:
        """Tells the caller, unless it has left."""
        if self.answer.done():
            return
        if isinstance(answer, Exception):
            self.answer.set_exception(answer)
        else:
            self.answer.set_result(answer)
