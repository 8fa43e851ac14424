"""What is on its way between the relays and inventory: it may be lost, come twice, come late."""

import random
from collections import Counter
from collections.abc import Sequence
from typing import TypeVar

from chaos.simulator.inventory import Reply, SimulatedInventory
from chaos.simulator.network import Request
from chaos.simulator.relays import Errand, Relay, Relays
from chaos.simulator.transactions import ProcessDied

T = TypeVar("T")
COMES_TWICE, ANSWER_IS_LOST = 0.15, 0.1


class Post:
    """Requests and answers under way; which of them come, and when, is chosen by chance."""

    def __init__(
        self, inventory: SimulatedInventory, relays: Relays, chosen: random.Random, faults: Counter[str]
    ) -> None:
        self._inventory = inventory
        self._relays = relays
        self._random = chosen
        self._faults = faults
        self._errands: list[Errand] = []
        """Those whose request has not come yet, or will come again."""
        self._replies: list[tuple[Errand, Reply]] = []
        self._sent: list[Request] = []

    @property
    def empty(self) -> bool:
        """Whether nothing is under way."""
        return not (self._errands or self._replies)

    def send(self, relay: Relay) -> None:
        """A relay takes what is due, and calls. Whatever it knew is gone if it dies: raises ProcessDied."""
        try:
            errands = self._relays.claim(relay)
        except ProcessDied:
            relay.die()
            raise
        self._errands.extend(errands)
        self._sent.extend(errand.call.request for errand in errands)

    def arrive(self) -> None:
        """Some requests come, in one batch."""
        errands = self._some(self._errands, 4)
        replies = self._inventory.decide([errand.call.request for errand in errands])
        for errand, reply in zip(errands, replies, strict=True):
            if self._random.random() < COMES_TWICE:
                self._faults["requests came twice"] += 1
            else:
                self._errands.remove(errand)
            if self._random.random() < ANSWER_IS_LOST:
                self._faults["answers lost"] += 1
            else:
                self._replies.append((errand, reply))

    def lose(self) -> None:
        """A request never comes."""
        for errand in self._some(self._errands, 1):
            self._errands.remove(errand)
            self._faults["requests lost"] += 1

    def answer(self) -> None:
        """Some answers come."""
        for errand, reply in self._some(self._replies, 4):
            self._replies.remove((errand, reply))
            self._relays.answer(errand, reply)

    def time_out(self) -> None:
        """Some callers give up; their requests may come all the same."""
        waiting = [errand for relay in self._relays.each for errand in relay.errands]
        for errand in self._some(waiting, 2):
            self._relays.time_out(errand)
            self._faults["calls timed out"] += 1

    def arrive_all(self) -> None:
        """Everything comes, and is answered."""
        errands, self._errands = self._errands, []
        came = self._inventory.decide([errand.call.request for errand in errands])
        replies, self._replies = [*self._replies, *zip(errands, came, strict=True)], []
        for errand, reply in replies:
            self._relays.answer(errand, reply)

    def arrive_again(self) -> None:
        """However late a copy of a request comes, it changes nothing any more."""
        self._inventory.decide(self._sent)

    def _some(self, of: Sequence[T], most: int) -> list[T]:
        """Up to so many of them; fewer where there are fewer."""
        return self._random.sample(of, min(len(of), self._random.randint(1, most)))
