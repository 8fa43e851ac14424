"""The steps in their order, and why one may not run yet."""

from collections.abc import Callable
from datetime import datetime, timedelta

from delivery_service.contract_steps.standing import DROP_ORDER_IDS, ENFORCE_STATUS, FOLLOWING, Standing
from servicekit.ops import ContractStep

QUIET = timedelta(days=14)
"""How long nobody but the service must have written a package."""
LISTS_STAY = timedelta(days=30)
"""How long the lists stay after the schema has begun to refuse what the old application writes."""


def contract_steps(standing: Standing) -> list[ContractStep]:
    """All steps, oldest first, as they stand."""
    return [
        ContractStep(name, done(standing), "" if done(standing) else why_not(standing))
        for name, (done, why_not) in _STEPS.items()
    ]


def contract_step(standing: Standing, name: str) -> ContractStep:
    """One step as it stands."""
    return next(step for step in contract_steps(standing) if step.name == name)


def not_at_head(standing: Standing) -> str:
    """Why no step may run on another schema than this build's; empty where it is this build's."""
    if standing.applied == standing.expected:
        return ""
    return f"the schema is at {standing.applied or 'nothing'}, this build expects {standing.expected}"


def _enforced(standing: Standing) -> bool:
    return standing.enforced and standing.enforced_since is not None


def _why_not_enforce(standing: Standing) -> str:
    return not_at_head(standing) or writers_seen(standing)


def writers_seen(standing: Standing) -> str:
    """What another application than the service wrote in the last 14 days; empty where it wrote nothing."""
    if standing.since is None:
        return (
            f"nobody recorded when revision {FOLLOWING} was applied: run `migrate upgrade` once, and the"
            f" {QUIET.days} days count from then"
        )
    if standing.waiting:
        return f"{standing.waiting} packages that another application than the service wrote are not followed yet"
    if standing.last_write and standing.now < standing.last_write + QUIET:
        return _until(
            "another application than the service last wrote a package at",
            standing.last_write,
            QUIET,
        )
    if standing.now < standing.since + QUIET:
        return _until("writes of other applications are seen since", standing.since, QUIET)
    return ""


def _why_not_drop(standing: Standing) -> str:
    if why_not := not_at_head(standing):
        return why_not
    if not _enforced(standing) or standing.enforced_since is None:
        return f"{ENFORCE_STATUS} comes first"
    if standing.now < standing.enforced_since + LISTS_STAY:
        return _until("the status has been enforced since", standing.enforced_since, LISTS_STAY)
    return writers_seen(standing)


def _until(what: str, since: datetime, wait: timedelta) -> str:
    return f"{what} {since:%Y-%m-%d %H:%M} UTC, its {wait.days} days end at {since + wait:%Y-%m-%d %H:%M}"


_Guard = tuple[Callable[[Standing], bool], Callable[[Standing], str]]
_STEPS: dict[str, _Guard] = {
    ENFORCE_STATUS: (_enforced, _why_not_enforce),
    DROP_ORDER_IDS: (lambda standing: bool(standing.applied) and not standing.lists, _why_not_drop),
}
