"""What `migrate contract` can do, by name: the steps, and their ways back."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from delivery_service.contract_steps import changes
from delivery_service.contract_steps.standing import (
    DROP_ORDER_IDS,
    ENFORCE_STATUS,
    RESTORE_ORDER_IDS,
    Standing,
)
from delivery_service.contract_steps.steps import STEPS
from servicekit.operations import contract_steps
from servicekit.operations.contract_steps import not_at_head

RELAX_STATUS = "relax-status"

Change = Callable[[AsyncConnection, Standing], Awaitable[None]]


@dataclass(frozen=True)
class Run(contract_steps.Run[Standing]):
    """A run that may hold up whoever writes packages."""

    holds_writers_up: bool = False


def _step(name: str, change: Change, done: str, *, holds_writers_up: bool = False) -> Run:
    """A step of the list, which says itself whether its time has come."""
    return Run(change, done, STEPS.refusal(name), STEPS.idle(name), holds_writers_up)


RUNS = {
    ENFORCE_STATUS: _step(
        ENFORCE_STATUS,
        changes.enforce_status,
        f"the schema refuses a package without a status; {RELAX_STATUS} takes it back",
        holds_writers_up=True,
    ),
    RELAX_STATUS: Run(
        changes.relax_status,
        "a package may have no status again, which is read as PENDING",
        not_at_head,
        lambda standing: not standing.enforced,
    ),
    DROP_ORDER_IDS: _step(
        DROP_ORDER_IDS,
        changes.drop_order_ids,
        f"order_ids is gone; {RESTORE_ORDER_IDS} makes it again from the orders' rows",
    ),
    RESTORE_ORDER_IDS: Run(
        changes.restore_order_ids,
        "order_ids lists the orders of each package again",
        not_at_head,
        lambda standing: standing.lists and standing.list_index,
    ),
}
"""What the command takes: the steps, and their ways back."""
