"""The steps in their order, and why one may not run yet."""

from datetime import timedelta

from delivery_service.contract_steps.standing import (
    DROP_ORDER_IDS,
    ENFORCE_STATUS,
    FOLLOWING,
    RESTORE_ORDER_IDS,
    Standing,
    read_standing,
)
from servicekit.operations.contract_steps import Guard, Steps, not_at_head, still_waiting, unrecorded

QUIET = timedelta(days=14)
"""How long nobody but the service must have written a package."""
LISTS_STAY = timedelta(days=30)
"""How long the lists stay after the schema has begun to refuse what the old application writes."""


def _enforced(standing: Standing) -> bool:
    return standing.enforced and standing.enforced_since is not None


def _why_not_enforce(standing: Standing) -> str:
    return not_at_head(standing) or writers_seen(standing)


def writers_seen(standing: Standing) -> str:
    """What another application than the service wrote in the last 14 days; empty where it wrote nothing."""
    if standing.since is None:
        return unrecorded(FOLLOWING, QUIET)
    if standing.waiting:
        return f"{standing.waiting} packages that another application than the service wrote are not followed yet"
    last = standing.last_write
    what = "another application than the service last wrote a package at"
    if last is not None and (waiting := still_waiting(standing, what, last, QUIET)):
        return waiting
    return still_waiting(standing, "writes of other applications are seen since", standing.since, QUIET)


def _why_not_drop(standing: Standing) -> str:
    if why_not := not_at_head(standing):
        return why_not
    if standing.restoring:
        return f"{RESTORE_ORDER_IDS} was cut short, and not all packages list their orders: run it again"
    if not _enforced(standing) or standing.enforced_since is None:
        return f"{ENFORCE_STATUS} comes first"
    return still_waiting(
        standing, "the status has been enforced since", standing.enforced_since, LISTS_STAY
    ) or writers_seen(standing)


STEPS = Steps(
    {
        ENFORCE_STATUS: Guard(_enforced, _why_not_enforce),
        DROP_ORDER_IDS: Guard(lambda standing: bool(standing.applied) and not standing.lists, _why_not_drop),
    },
    read_standing,
)
"""All steps, oldest first."""
