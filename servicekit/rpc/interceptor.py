"""What every call passes through: it is named, bounded in time, logged, counted, and its errors become statuses."""

import asyncio
import inspect
import math
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing
from functools import partial
from typing import Any

import structlog
from google.protobuf.message import DecodeError

from servicekit.errors import field_invalid
from servicekit.rpc import calls
from servicekit.rpc.calls import ANONYMOUS, Call, Caller
from servicekit.rpc.context import Context
from servicekit.rpc.error_status import ErrorStatuses
from servicekit.rpc.guard import FindCaller, Guard, Note
from servicekit.rpc.handlers import Behaviour, WrappingInterceptor, with_behaviour
from servicekit.rpc.under_way import UnderWay

NONE_LONG: Mapping[str, float] = {}

log = structlog.get_logger("calls")

_HEALTH = "/grpc.health."
"""Left alone: probes ask all the time, and watch as long as they like."""
_REFLECTION = "/grpc.reflection."
"""Bounded in time as all others, and open to everybody who gets here, without a line or a count."""


def plain_caller(context: Context, metadata: Mapping[Any, Any]) -> Caller:
    """Without certificates, who calls is who the metadata says. Raises ActorUnknown."""
    return calls.caller(metadata)


class CallInterceptor(WrappingInterceptor):
    """Names the call, finds the caller, bounds the time, turns errors into statuses, logs and counts its end."""

    def __init__(
        self,
        statuses: ErrorStatuses,
        admit: Callable[[Call], None] = lambda call: None,
        long_calls: Mapping[str, float] = NONE_LONG,
        ended: Callable[[str, str, float], None] = lambda method, code, seconds: None,
        caller: FindCaller = plain_caller,
        under_way: UnderWay | None = None,
    ) -> None:
        """`admit` is asked before each call, and before each message of a long stream, and raises what refuses it;
        `ended` is told how each one ended, `under_way` when it is at work.

        `long_calls` are methods, by full name, that may last longer than others: so many seconds, with a deadline
        or without; `math.inf` is as long as the caller stays. They themselves must not wait long for a silent
        caller.
        """
        super().__init__()
        self._statuses = statuses
        self._admit = admit
        self._long_calls = long_calls
        self._ended = ended
        self._caller = caller
        self._under_way = under_way or UnderWay()

    def wrap(self, method: str, handler: Any) -> Any:
        if method.startswith(_HEALTH):
            return handler
        cap = partial(
            _cap, self._long_calls.get(method), handler.request_streaming or handler.response_streaming
        )
        told: tuple[Note, FindCaller, Callable[[Call], None]] = (self._note, self._caller, self._admit)
        if method.startswith(_REFLECTION):
            told = (_note_nothing, _nobody, _admit_all)
        guarded = partial(Guard, self._statuses, *told, method, cap)
        answering = _answering_many if handler.response_streaming else _answering_once
        tolerant = handler._replace(request_deserializer=_tolerant(handler.request_deserializer))
        return with_behaviour(tolerant, partial(answering, guarded, self._under_way))

    def _note(self, call: Guard, code: str, facts: Mapping[str, str]) -> None:
        seconds = time.monotonic() - call.began
        self._ended(call.method, code, seconds)
        log.info("call", code=code, milliseconds=round(seconds * 1000, 1), **facts)


def _answering_once(
    guarded: Callable[[Context, Any], Guard], under_way: UnderWay, behaviour: Behaviour
) -> Behaviour:
    async def answer(request: Any, context: Context) -> Any:
        guard = guarded(context, request)
        try:
            call = guard.begin()
            with under_way:
                async with asyncio.timeout(call.remaining()):
                    reply = behaviour(_well_formed(request), context)
                    if inspect.isawaitable(reply):
                        reply = await reply
        except BaseException as error:
            await guard.refuse(error)
            raise
        guard.end("OK")
        return reply

    return answer


def _answering_many(
    guarded: Callable[[Context, Any], Guard], under_way: UnderWay, behaviour: Behaviour
) -> Behaviour:
    async def answer(request: Any, context: Context) -> None:
        guard = guarded(context, request)
        try:
            call = guard.begin()
            async with aclosing(behaviour(_well_formed(request), context)) as replies:
                await _send(replies, context, call, under_way)
        except BaseException as error:
            await guard.refuse(error)
            raise
        guard.end("OK")

    return answer


def _note_nothing(call: Guard, code: str, facts: Mapping[str, str]) -> None: ...


def _nobody(context: Context, metadata: Mapping[Any, Any]) -> Caller:
    return ANONYMOUS


def _admit_all(call: Call) -> None: ...


async def _send(replies: AsyncIterator[Any], context: Context, call: Call, under_way: UnderWay) -> None:
    """Sends the replies until the call's deadline, also to a caller that does not read. Raises TimeoutError."""
    left = call.remaining()
    async with asyncio.timeout(left if left < math.inf else None):
        while True:
            with under_way:
                try:
                    reply = await anext(replies)
                except StopAsyncIteration:
                    return
            # Neither may wait at all, and a timeout ends only what waits.
            if call.remaining() <= 0:
                raise TimeoutError
            await context.write(reply)


def _cap(long: float | None, streams: bool, left: float | None) -> float:
    """How many seconds a call may last whose caller leaves it so many; None where the caller names no deadline."""
    # Without a deadline grpc answers None or a number of centuries.
    most = calls.STREAM_CAP_SECONDS if streams and left is not None else calls.CALL_CAP_SECONDS
    if long is not None:
        most = long
    return most if left is None else min(left, most)


class _Malformed:
    """Stands for bytes that are no message of the contract."""


def _tolerant(deserialize: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """gRPC answers UNKNOWN where a deserializer fails; ours does not fail, and the guard refuses what it gives."""

    def parse(content: bytes) -> Any:
        try:
            return deserialize(content)
        except DecodeError:
            return _Malformed()

    return parse


def _well_formed(request: Any) -> Any:
    """The request, or the stream of requests, without malformed ones. Raises FieldInvalid."""
    if isinstance(request, _Malformed):
        raise field_invalid([("", "the request's bytes are no message of this contract")])
    if isinstance(request, AsyncIterator):
        return _each_well_formed(request)
    return request


async def _each_well_formed(requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async for request in requests:
        yield _well_formed(request)
