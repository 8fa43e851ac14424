"""A call that changes something, and what it leaves behind, in words that are the same wherever it is made."""

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from tests.support.town import Town

SECONDS = 10.0
UNITS = 5
VOLATILE = (
    "Time",
    "etag",
    "movementId",
    "evidenceId",
    "evidenceIds",
    "sha256",
    "sizeBytes",
    "proofs",
    "clockSkew",
)
"""What is another one each time, or follows from that; JSON's names end so."""

Ask = Callable[[Town, str], Awaitable[object]]
"""Makes a call about the thing of this name; the same call however often it is made."""
State = Callable[[Town, str], Awaitable[str]]


async def nothing(town: Town, name: str) -> None:
    """No preparation."""


@dataclass(frozen=True)
class Call:
    """A call, what has to be there before it, and how to look at what it is about."""

    method: str
    ask: Ask
    state: State
    arrange: Ask = nothing


async def found(name: str, call: Awaitable[Message]) -> str:
    """What a call finds, or that there is nothing."""
    try:
        return plain([await call], name)
    except grpc.aio.AioRpcError as error:
        if error.code() is not grpc.StatusCode.NOT_FOUND:
            raise
        return "none"


def plain(told: Sequence[Message | str], name: str) -> str:
    """In words that the same call about a thing of another name leaves, too."""
    shown = [each if isinstance(each, str) else _stable(MessageToDict(each)) for each in told]
    return json.dumps(shown, sort_keys=True).replace(name, "NAME")


def _stable(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _stable(each) for key, each in value.items() if not key.endswith(VOLATILE)}
    return [_stable(each) for each in value] if isinstance(value, list) else value
