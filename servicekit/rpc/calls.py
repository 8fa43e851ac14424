"""What one call is: its method, its caller, its id, its deadline."""

import math
import random
import re
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any

from servicekit.errors import ActorUnknown
from servicekit.rpc.context import Context

CALL_CAP_SECONDS = 10.0
"""A call without a deadline, or with a longer one, is treated as if it had this one."""
STREAM_CAP_SECONDS = 60.0
"""The same for a stream whose caller names a deadline: a photo may come and go over a slow line."""

MOST_ID_CHARACTERS = 64
ROLES = ("merchant", "driver", "warehouse", "dispatcher", "system")


@dataclass(frozen=True)
class Caller:
    """Who calls: `name` is "role:id" of the metadata, else that of the certificate, else "anonymous"."""

    name: str = "anonymous"
    role: str | None = None
    actor_id: str | None = None
    identity: str = ""
    """Whom the certificate names; empty without one."""
    until: float = math.inf
    """When the certificate's time is over, in seconds since 1970."""
    others_ids: tuple[re.Pattern[str], ...] = ()
    """What the ids look like that are other callers' to take."""


ANONYMOUS = Caller()


@dataclass(frozen=True)
class Call:
    """One call under way; `deadline` is in seconds of the loop's clock."""

    method: str
    caller: Caller
    call_id: str
    deadline: float
    request_id: str = ""
    admit: "Callable[[Call], None]" = field(default=lambda call: None, repr=False, compare=False)
    """Raises what refuses it; asked before it begins, and before each message of a long stream."""
    is_message: bool = False
    """Of a long stream, which was counted as a call when it began."""

    def remaining(self) -> float:
        """Seconds left until the deadline, negative once it has passed."""
        return self.deadline - time.monotonic()


_current: ContextVar[Call | None] = ContextVar("call", default=None)


def current_call() -> Call:
    """The call that this task works for; LookupError outside of one."""
    call = _current.get()
    if call is None:
        raise LookupError("no call is under way")
    return call


def call_under_way() -> Call | None:
    """The call that this task works for, if it works for one."""
    return _current.get()


def begin_call(call: Call) -> None:
    """From here on this task works for that call."""
    _current.set(call)


def begin_message(context: Context) -> None:
    """Gives this task, which answers one message of a long stream, the time of a call of its own, and has it admitted.

    The stream's own deadline stays the last. Raises what a call would be refused with at its beginning.
    """
    left = context.time_remaining()
    seconds = CALL_CAP_SECONDS if left is None else min(left, CALL_CAP_SECONDS)
    call = replace(current_call(), deadline=time.monotonic() + seconds, is_message=True)
    begin_call(call)
    call.admit(call)


def call_id(metadata: dict[str, Any]) -> str:
    """The id that the caller gave its call, else a new one."""
    return str(metadata.get("x-call-id", ""))[:MOST_ID_CHARACTERS] or f"{random.getrandbits(128):032x}"


def caller(metadata: Mapping[str, Any]) -> Caller:
    """Who the metadata says calls. Raises ActorUnknown."""
    role, actor_id = metadata.get("actor-role") or None, metadata.get("actor-id") or None
    if role is not None and role not in ROLES:
        raise ActorUnknown("actor-role", f"must be one of {', '.join(ROLES)}")
    if actor_id is not None and len(actor_id) > MOST_ID_CHARACTERS:
        raise ActorUnknown("actor-id", f"must have at most {MOST_ID_CHARACTERS} characters")
    return Caller(f"{role}:{actor_id}" if role and actor_id else ANONYMOUS.name, role, actor_id)
