"""Random histories of calls to two servers on a real database: a plain model foretells every answer and every state.

Of inventory on Postgres; of delivery on the others, beside an inventory in memory.
"""

import asyncio
import random
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, get_state_machine_test

from chaos.campaign import Campaign, Trial, told
from tests.delivery_service import stateful as delivery
from tests.delivery_service.world import a_world as deliverys_world
from tests.inventory_service import stateful as inventory

STEPS = 50
OF_INVENTORY, OF_DELIVERY = (1, 2, 4, 6, 7, 9, 18), (4, 14, 15, 16, 17, 18)
"""The promises that each of the services makes alone."""
CHOICES_BYTES = 16_384
"""More than the choices of a history take."""


class _Over(BaseException):
    """Ends a history in its midst."""


async def run(trial: Trial) -> None:
    """A history after the other; the servers' loop runs only while a step waits for it, so in another thread."""
    histories = asyncio.create_task(asyncio.to_thread(_go_on, trial))
    try:
        await asyncio.shield(histories)
    finally:
        # Whoever is interrupted waits for the step that is under way, and for the servers' end.
        trial.until = 0.0
        await histories


def _go_on(trial: Trial) -> None:
    """Each history has a seed of its own, and is the same again by `--seed`, but for calls that are made at once.
    One that is given up is no attempt.

    For their sake Hypothesis only says what there is to choose: its own search wants the same ends from the same
    choices.
    """
    with _history(trial) as history:
        # Were each of them given up, there would be no end.
        for seed in range(trial.seed, trial.seed + 2 * trial.size):
            if not trial.more:
                return
            try:
                given_up = history(random.Random(seed).randbytes(CHOICES_BYTES)) is None
            except _Over:
                return
            except Exception as found:
                given_up = False
                trial.violations.append(f"seed {seed}: {told(_cause(found))}")
            if given_up:
                trial.contention["histories given up"] += 1
            else:
                trial.attempted()


def _cause(error: BaseException) -> BaseException:
    """The end of a history looks once more at everything, and fails for the same cause: what failed first says more."""
    while isinstance(error.__context__, AssertionError):
        error = error.__context__
    return error


@contextmanager
def _history(trial: Trial) -> Iterator[Callable[[bytes], bytes | None]]:
    """Makes one by the choices that the bytes are.

    It answers None of one that was given up before its last call: what it drew was of no use, again and again.
    """
    if trial.engine == "postgres":
        with inventory.a_world() as world:
            yield _of(trial, inventory.Service, world)
    else:
        with deliverys_world(trial.engine, trial.folder / "photos") as world:
            yield _of(trial, delivery.Service, world)


def _of(trial: Trial, service: type[RuleBasedStateMachine], world: Any) -> Callable[[bytes], bytes | None]:
    run = world.run

    def while_there_is_more(work: Coroutine[Any, Any, Any]) -> Any:
        if not trial.more:
            work.close()
            raise _Over
        trial.contention["answers and states foretold"] += 1
        return run(work)

    world.run = while_there_is_more
    machine = type("Service", (service,), {"world": world})
    wanted = settings(stateful_step_count=STEPS, database=None)
    # Of bytes, one in 256 would end a history.
    test: Any = get_state_machine_test(machine, settings=wanted, _min_steps=STEPS - 1)
    history: Callable[[bytes], bytes | None] = test.hypothesis.fuzz_one_input
    return history


CAMPAIGN = Campaign(
    number=22,
    title=f"Random histories of {STEPS} calls, foretold by a model",
    promises=tuple(sorted({*OF_INVENTORY, *OF_DELIVERY})),
    promises_on={"postgres": OF_INVENTORY, "mysql": OF_DELIVERY, "mariadb": OF_DELIVERY},
    attempt="random histories",
    short=20,
    long=700,
    run=run,
    contention=("answers and states foretold",),
    engines=("postgres", "mysql", "mariadb"),
)
