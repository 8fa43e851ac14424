"""What every call passes through: it is named, bounded in time, logged, counted, and its errors become statuses."""

import asyncio
import inspect
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from functools import partial
from typing import Any

import grpc
import structlog
from google.protobuf.message import DecodeError

from servicekit.errors import CallerUnknown, DeadlineExceeded, field_invalid
from servicekit.rpc import calls
from servicekit.rpc.calls import ANONYMOUS, Call, Caller, begin_call
from servicekit.rpc.context import Context
from servicekit.rpc.error_status import ErrorStatuses
from servicekit.rpc.hearing import MOST_LISTENING_SECONDS, hear_out
from servicekit.tasks import being_cancelled

NONE_LONG: Mapping[str, float] = {}

MOST_LOGGED_CHARACTERS = 64

log = structlog.get_logger("calls")

_HEALTH = "/grpc.health."
"""Left alone: probes ask all the time, and watch as long as they like."""
_REFLECTION = "/grpc.reflection."
"""Bounded in time as all others, and open to everybody who gets here, without a line or a count."""


FindCaller = Callable[[Context, Mapping[Any, Any]], Caller]
"""Says who calls, from the connection and the metadata."""


Note = Callable[["_Guard", str, Mapping[str, str]], None]
"""Writes down how a call ended: its code, and what there is to say beside it."""


def plain_caller(context: Context, metadata: Mapping[Any, Any]) -> Caller:
    """Without certificates, who calls is who the metadata says. Raises ActorUnknown."""
    return calls.caller(metadata)


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Names the call, finds the caller, bounds the time, turns errors into statuses, logs and counts its end."""

    def __init__(
        self,
        statuses: ErrorStatuses,
        admit: Callable[[Call], None] = lambda call: None,
        long_calls: Mapping[str, float] = NONE_LONG,
        ended: Callable[[str, str, float], None] = lambda method, code, seconds: None,
        caller: FindCaller = plain_caller,
    ) -> None:
        """`admit` is asked before each call, and before each message of a long stream, and raises what refuses it;
        `ended` is told how each one ended.

        `long_calls` are methods, by full name, that may last longer than others: so many seconds, with a deadline
        or without; `math.inf` is as long as the caller stays. They themselves must not wait long for a silent
        caller.
        """
        self._statuses = statuses
        self._admit = admit
        self._long_calls = long_calls
        self._ended = ended
        self._caller = caller
        self._guarded: dict[str, Any] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        method = handler_call_details.method
        if guarded := self._guarded.get(method):
            return guarded
        handler = await continuation(handler_call_details)
        if handler is None or method.startswith(_HEALTH):
            return handler
        self._guarded[method] = guarded = self._guard(method, handler)
        return guarded

    def _guard(self, method: str, handler: Any) -> Any:
        cap = partial(
            _cap, self._long_calls.get(method), handler.request_streaming or handler.response_streaming
        )
        told: tuple[Note, FindCaller, Callable[[Call], None]] = (self._note, self._caller, self._admit)
        if method.startswith(_REFLECTION):
            told = (_note_nothing, _nobody, _admit_all)
        guarded = partial(_Guard, self._statuses, *told, method, cap)
        if handler.response_streaming:
            behaviour = self._streaming(guarded, handler.stream_stream or handler.unary_stream)
            make = (
                grpc.stream_stream_rpc_method_handler
                if handler.request_streaming
                else grpc.unary_stream_rpc_method_handler
            )
        else:
            behaviour = self._single(guarded, handler.stream_unary or handler.unary_unary)
            make = (
                grpc.stream_unary_rpc_method_handler
                if handler.request_streaming
                else grpc.unary_unary_rpc_method_handler
            )
        return make(behaviour, _tolerant(handler.request_deserializer), handler.response_serializer)

    def _note(self, call: "_Guard", code: str, facts: Mapping[str, str]) -> None:
        seconds = time.monotonic() - call.began
        self._ended(call.method, code, seconds)
        log.info("call", code=code, milliseconds=round(seconds * 1000, 1), **facts)

    def _single(self, guarded: Callable[[Context, Any], "_Guard"], behaviour: Any) -> Any:
        async def call(request: Any, context: Context) -> Any:
            guard = guarded(context, request)
            try:
                under_way = guard.begin()
                under_way.admit(under_way)
                async with asyncio.timeout(under_way.remaining()):
                    reply = behaviour(_well_formed(request), context)
                    if inspect.isawaitable(reply):
                        reply = await reply
            except BaseException as error:
                await guard.refuse(error)
                raise
            guard.end("OK")
            return reply

        return call

    def _streaming(self, guarded: Callable[[Context, Any], "_Guard"], behaviour: Any) -> Any:
        async def call(request: Any, context: Context) -> None:
            guard = guarded(context, request)
            try:
                under_way = guard.begin()
                under_way.admit(under_way)
                async with aclosing(behaviour(_well_formed(request), context)) as replies:
                    await _send(replies, context, under_way)
            except BaseException as error:
                await guard.refuse(error)
                raise
            guard.end("OK")

        return call


def _note_nothing(call: "_Guard", code: str, facts: Mapping[str, str]) -> None: ...


def _nobody(context: Context, metadata: Mapping[Any, Any]) -> Caller:
    return ANONYMOUS


def _admit_all(call: Call) -> None: ...


async def _send(replies: AsyncIterator[Any], context: Context, call: Call) -> None:
    """Sends the replies until the call's deadline, also to a caller that does not read. Raises TimeoutError."""
    left = call.remaining()
    async with asyncio.timeout(left if left < math.inf else None):
        async for reply in replies:
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


class _Guard:
    """Around one call: begins it, and lets no exception out but as a status."""

    def __init__(
        self,
        statuses: ErrorStatuses,
        note: Note,
        caller: FindCaller,
        admit: Callable[[Call], None],
        method: str,
        cap: Callable[[float | None], float],
        context: Context,
        request: Any,
    ) -> None:
        self.method = method
        self._statuses = statuses
        self._note = note
        self._caller = caller
        self._admit = admit
        self._context = context
        self._request = request
        self.began = time.monotonic()
        self._metadata: dict[Any, Any] = dict(context.invocation_metadata() or ())
        self._call_id = calls.call_id(self._metadata)
        self._deadline = self.began + cap(context.time_remaining())

    def begin(self) -> Call:
        """From here on this task works for the call. Raises ActorUnknown, CallerUnknown."""
        caller = ANONYMOUS
        try:
            caller = self._caller(self._context, self._metadata)
        finally:
            # Where nobody can be made out, the call has its id and its line all the same.
            request_id = getattr(self._request, "request_id", "")[:MOST_LOGGED_CHARACTERS]
            call = Call(self.method, caller, self._call_id, self._deadline, request_id, self._admit)
            begin_call(call)
        return call

    async def refuse(self, error: BaseException) -> None:
        """Logs and counts what ended the call, and aborts it where the caller is to be told."""
        if isinstance(error, Exception):
            try:
                await hear_out(_all_of(self._request))
            except asyncio.CancelledError:
                self.end("CANCELLED")
                raise
        if isinstance(error, grpc.aio.AbortError):
            self.end("ABORTED_BY_HANDLER")
        elif isinstance(error, grpc.aio.InternalError):
            # What was sent found nobody any more.
            self.end("CANCELLED")
        elif isinstance(error, asyncio.CancelledError):
            # When the caller leaves or its time is over, grpc cancels the task that works for it.
            if being_cancelled():
                self.end("CANCELLED")
            else:
                # A CancelledError of our own making would leave the caller without any answer.
                await self._abort(RuntimeError("cancelled from inside"))
        elif isinstance(error, NotImplementedError):
            self.end("UNIMPLEMENTED")
            await self._context.abort(grpc.StatusCode.UNIMPLEMENTED, f"{self.method} is not implemented yet")
        elif isinstance(error, Exception):
            await self._abort(DeadlineExceeded() if isinstance(error, TimeoutError) else error)

    def end(self, code: str, **facts: str) -> None:
        """The one line of this call, and its place in the counts."""
        self._note(self, code, facts)

    async def _abort(self, error: Exception) -> None:
        status = self._statuses.status(error, self._call_id)
        if status.code is grpc.StatusCode.INTERNAL:
            log.error("call failed", exc_info=error)
        # Of a caller without a name the line would say nothing else.
        shown = {"certificate_uri": error.certificate_uri} if isinstance(error, CallerUnknown) else {}
        self.end(status.code.name, reason=type(error).__name__, **shown)
        try:
            async with asyncio.timeout(MOST_LISTENING_SECONDS):
                await self._context.abort(status.code, status.details, tuple(status.trailing_metadata or ()))
        except (TimeoutError, grpc.aio.InternalError):
            # A caller that does not read finds its status behind what it has not read, and none where it has not
            # read a thing. Nobody waits for it.
            raise asyncio.CancelledError from None


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


async def _all_of(request: Any) -> None:
    if isinstance(request, AsyncIterator):
        async for _ in request:
            pass
