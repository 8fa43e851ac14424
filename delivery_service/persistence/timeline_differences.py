"""Where packages are not what their events made of them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from delivery_service.application.consistency_ports import Drift, Inconsistency
from delivery_service.domain.workflow import Verb
from delivery_service.persistence.codes import STATES, STEP_COLUMNS
from delivery_service.persistence.tables import package_events

_events = package_events.c
_CLAIMS = (Verb.CLAIM, Verb.ASSIGN_DRIVER, Verb.RELEASE_CLAIM)
_STEPS = (*STEP_COLUMNS, *_CLAIMS[1:])


async def timeline_differences(connection: AsyncConnection, page: Sequence[Any]) -> list[Inconsistency]:
    """A package of the old system may have no events; any other is what its events made of it."""
    ids = [row.id for row in page]
    timelines = await _timelines(connection, ids)
    steps = await step_times(connection, ids)
    broken = await _broken_chains(connection, ids)
    found = []
    for package in page:
        timeline = timelines.get(package.id)
        if timeline is not None:
            found += _differences(package, timeline, steps[package.id], broken[package.id])
        elif package.content_digest is not None:
            facts = {"events": "0"}
            found.append(Inconsistency(Drift.TIMELINE, package.prepare_sn, "the timeline is lost", facts))
    return found


def _differences(
    package: Any, timeline: Any, times: Mapping[str, datetime | None], broken: Sequence[int]
) -> list[Inconsistency]:
    found = []

    def differ(drift: Drift, description: str, **facts: object) -> None:
        told = {name: "none" if fact is None else str(fact) for name, fact in facts.items()}
        found.append(Inconsistency(drift, package.prepare_sn, description, told))

    if timeline.events != timeline.last:
        differ(Drift.TIMELINE, "the timeline has gaps", events=timeline.events, last_sequence=timeline.last)
    if broken:
        differ(Drift.CHAIN, "events do not follow each other", sequences=", ".join(map(str, broken))[:500])
    state, led_to = STATES[package.prepare_status], STATES[timeline.to_status]
    if state is not led_to:
        differ(Drift.STATE, "state and last event differ", state=state, last_event=led_to)
    if package.driver_id != timeline.driver_id:
        drivers = {"driver_id": package.driver_id, "last_event": timeline.driver_id}
        differ(Drift.DRIVER, "driver and last event differ", **drivers)
    wrong = [name for name, time in times.items() if getattr(package, name) != time]
    if wrong:
        differ(Drift.STEPS, "times of steps and events differ", columns=", ".join(wrong))
    return found


async def _timelines(connection: AsyncConnection, ids: Sequence[int]) -> dict[int, Any]:
    """How many events each package has, and the last of them."""
    newest = (
        select(
            _events.package_id,
            func.max(_events.sequence).label("last"),
            func.count().label("events"),
        )
        .where(_events.package_id.in_(ids))
        .group_by(_events.package_id)
        .subquery()
    )
    rows = await connection.execute(
        select(newest, _events.to_status, _events.driver_id).join(
            package_events,
            (_events.package_id == newest.c.package_id) & (_events.sequence == newest.c.last),
        )
    )
    return {row.package_id: row for row in rows}


async def _broken_chains(connection: AsyncConnection, ids: Sequence[int]) -> Mapping[int, list[int]]:
    """For each package the events that do not begin where the one before them led; lost ones break no chain."""
    before = package_events.alias().c
    rows = await connection.execute(
        select(_events.package_id, _events.sequence)
        .join(
            before.sequence.table,
            (before.package_id == _events.package_id) & (before.sequence == _events.sequence - 1),
        )
        .where(
            _events.package_id.in_(ids),
            or_(_events.from_status.is_(None), _events.from_status != before.to_status),
        )
        .order_by(_events.package_id, _events.sequence)
    )
    broken: defaultdict[int, list[int]] = defaultdict(list)
    for row in rows:
        broken[row.package_id].append(row.sequence)
    return broken


async def step_times(
    connection: AsyncConnection, ids: Sequence[int]
) -> Mapping[int, Mapping[str, datetime | None]]:
    """For each package the columns of steps of which an event tells, with the time that it tells.

    A column without an event may be all that is left to know of a lost one, and is not judged.
    """
    newest = (
        select(_events.package_id, func.max(_events.sequence).label("sequence"))
        .where(_events.package_id.in_(ids), _events.verb.in_(_STEPS))
        .group_by(_events.package_id, _events.verb)
        .subquery()
    )
    rows = await connection.execute(
        select(_events.package_id, _events.verb, _events.create_time)
        .join(
            newest,
            (_events.package_id == newest.c.package_id) & (_events.sequence == newest.c.sequence),
        )
        .order_by(_events.package_id, _events.sequence)
    )
    times: defaultdict[int, dict[str, datetime | None]] = defaultdict(dict)
    for row in rows:
        verb = Verb(row.verb)
        column = STEP_COLUMNS[Verb.CLAIM if verb in _CLAIMS else verb]
        times[row.package_id][column] = None if verb is Verb.RELEASE_CLAIM else row.create_time
    return times
