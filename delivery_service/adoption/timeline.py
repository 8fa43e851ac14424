"""The timeline of one adopted package, told from what the old system noted. Pure."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from delivery_service.domain.legacy import ACTION_TYPES, STATES
from delivery_service.domain.transitions import TRANSITIONS
from delivery_service.domain.workflow import ActorRole, Verb

MOST_NOTE_LENGTH = 1000
MOST_ID = 2**64 - 1

_VERBS = {number: verb for verb, number in ACTION_TYPES.items()}
_CODES = {state: code for code, state in STATES.items() if code is not None}
_TARGETS = {row.verb: _CODES[row.target] for row in TRANSITIONS if row.target is not None}
# driver_5 in the old application, driver:5 in ours.
_ACTOR = re.compile(r"(merchant|driver|warehouse)[_:](\d{1,20})", re.ASCII)


@dataclass(frozen=True)
class Adopted:
    """A package as it was adopted.

    `order_ids` is its list as found, `listed` as it is written now. `own` are the actions of orders that are in no
    other package, `shared` those of orders that are; both are rows of tigu_order_action.
    """

    package_id: int
    order_ids: str
    listed: str
    status: int
    driver_id: int | None
    own: Sequence[Any]
    shared: Sequence[Any]


def timeline(package: Adopted, now: datetime) -> Iterator[dict[str, Any]]:
    """Rows of package_event: one for each step that the old system noted, and one of the adoption."""
    sequence, before, driver = 0, None, None
    steps = sorted(
        (action for action in package.own if action.action_type in _VERBS),
        key=lambda action: (action.create_time, action.id),
    )
    # A step is noted once for each order, and again where somebody confirmed it twice: neighbours are one event.
    for (action_type, who), same in groupby(steps, key=lambda action: (action.action_type, action.create_by)):
        actions, verb, (role, actor_id) = list(same), _VERBS[action_type], _actor(who)
        driver = int(actor_id) if role is ActorRole.DRIVER else driver
        sequence += 1
        event = _event(package, sequence, verb, before, _TARGETS[verb], driver)
        yield event | {
            "actor_role": role.value,
            "actor_id": actor_id,
            "note": _note_of(actions),
            "create_time": actions[0].create_time,
        }
        before = _TARGETS[verb]
    adoption = _event(package, sequence + 1, Verb.ADOPT, before, package.status, package.driver_id)
    yield adoption | {
        "actor_role": ActorRole.SYSTEM.value,
        "actor_id": "adoption",
        "note": _note_of_adoption(package),
        "create_time": now,
    }


def _event(
    package: Adopted, sequence: int, verb: Verb, before: int | None, after: int, driver: int | None
) -> dict[str, Any]:
    return {
        "package_id": package.package_id,
        "sequence": sequence,
        "verb": verb.value,
        "from_status": before,
        "to_status": after,
        "driver_id": driver,
        "evidence_ids": "[]",
    }


def _actor(created_by: str | None) -> tuple[ActorRole, str]:
    """Who did it; what names nobody we know is told as it stands."""
    found = _ACTOR.fullmatch(created_by or "")
    if found is not None and int(found[2]) <= MOST_ID:
        return ActorRole(found[1].upper()), found[2]
    return ActorRole.SYSTEM, (created_by or "unknown")[:64]


def _note_of(actions: Sequence[Any]) -> str:
    files = [action.files for action in actions if action.files]
    remarks = dict.fromkeys(action.remark for action in actions if action.remark)
    told = [f"tigu_order_action {_numbers(actions)}"]
    if files:
        told.append(f"tigu_uploaded_files {', '.join(dict.fromkeys(files))}")
    return _cut("; ".join([*told, *remarks]))


def _note_of_adoption(package: Adopted) -> str:
    told = ["taken over from the old system"]
    if package.order_ids != package.listed:
        told.append(f"order_ids was {package.order_ids!r}")
    if package.shared:
        told.append(
            f"of its orders, which are in other packages too: tigu_order_action {_numbers(package.shared)}"
        )
    if others := [action for action in package.own if action.action_type not in _VERBS]:
        told.append(f"of its orders, no steps: tigu_order_action {_numbers(others)}")
    return _cut("; ".join(told))


def _numbers(actions: Sequence[Any]) -> str:
    return ", ".join(str(action.id) for action in actions)


def _cut(note: str) -> str:
    return note if len(note) <= MOST_NOTE_LENGTH else f"{note[: MOST_NOTE_LENGTH - 1]}…"
