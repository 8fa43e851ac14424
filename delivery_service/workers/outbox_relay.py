"""Looks for due commands in the outbox; a nudge after a commit makes it look at once, looking alone suffices."""

import asyncio
from collections.abc import Callable

import structlog

from delivery_service.application.ports import Transactions
from delivery_service.application.record_answers import Ending, Settlement, Told
from delivery_service.application.settle_stock import claim_due, send
from delivery_service.application.stock_ports import Answer, Inventory, Task, TryLater
from delivery_service.domain.package import Package
from delivery_service.workers.answer_log import AnswerLog
from servicekit import traces
from servicekit.polling import Poller

AT_ONCE = 64
FEWEST_AT_ONCE = 4

log = structlog.get_logger("outbox_relay")


class OutboxRelay(Poller):
    """Settles what is due, packages beside each other; safe beside any number of other relays.

    It takes no more than it has room for, so that every lease begins with its call, and many calls are under way
    at once, which inventory decides together; their answers are recorded together, too. A slow answer holds up its
    own package only. Where inventory does not keep up, half as many calls are made, then one more after each that
    it has answered.
    """

    def __init__(
        self,
        transactions: Transactions,
        inventory: Inventory,
        notify: Callable[[Package], None],
        *,
        idle_seconds: float,
        lease_seconds: float,
    ) -> None:
        """`notify` is told each package that an answer has changed, as it is then."""
        super().__init__("outbox_relay", self._look, idle_seconds=idle_seconds)
        self._transactions = transactions
        self._inventory = inventory
        self._answers = AnswerLog(transactions)
        self._notify = notify
        self._lease_seconds = lease_seconds
        self._under_way = 0
        self._most = AT_ONCE
        self._more_wait = False

    async def run(self, may_work: Callable[[], bool] = lambda: True) -> None:
        """Polls until stopped, then lets what is under way end."""
        async with asyncio.TaskGroup() as self._settlements:
            await super().run(may_work)

    async def _look(self) -> bool:
        room = self._most - self._under_way
        if room > 0:
            tasks = await claim_due(self._transactions, room, self._lease_seconds)
            self._more_wait = len(tasks) == room
            for task in tasks:
                self._under_way += 1
                self._settlements.create_task(self._settle(task))
        return False

    async def _settle(self, task: Task) -> None:
        try:
            with traces.span(f"relay {task.command}", of=[task.traceparent]):
                answer = await send(task, self._inventory)
            self._adapt(answer)
            settlement = await self._answers.record(Told(task, answer))
        except Exception as error:
            # Not nudged: what ails this one may ail all.
            log.warning("settlement failed", **_facts(task, repr(error)))
        else:
            _log(task, settlement)
            if settlement.package is not None:
                self._notify(settlement.package)
            # What inventory cannot do now is no reason to ask it for more at once.
            if settlement.followed or (self._more_wait and settlement.ending is not Ending.PUT_BACK):
                self.nudge()
        finally:
            self._under_way -= 1

    def _adapt(self, answer: Answer) -> None:
        if isinstance(answer, TryLater):
            self._most = max(self._most // 2, FEWEST_AT_ONCE)
        else:
            self._most = min(self._most + 1, AT_ONCE)


def _log(task: Task, settlement: Settlement) -> None:
    if settlement.ending is Ending.PUT_BACK:
        log.info("try later", **_facts(task, settlement.error))
    elif settlement.ending is Ending.PARKED:
        log.error("parked", **_facts(task, settlement.error))


def _facts(task: Task, error: str) -> dict[str, str | int]:
    return {
        "package_sn": task.package_sn,
        "command": task.command.value,
        "attempts": task.attempts,
        "error": error,
        "call_id": task.trace,
    }
