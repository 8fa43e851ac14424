"""What one call is: its method, its caller, its deadline; and the interceptor that every call passes through."""

import asyncio
import inspect
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any

import grpc
import structlog
from google.protobuf.message import DecodeError

from servicekit.context import Context
from servicekit.error_status import ErrorStatuses
from servicekit.errors import ActorUnknown, DeadlineExceeded, field_invalid

CALL_CAP_SECONDS = 10.0
"""A call without a deadline, or with a longer one, is treated as if it had this one."""
STREAM_CAP_SECONDS = 60.0
"""The same for a stream whose caller names a deadline: a photo may come and go over a slow line."""

NONE_LONG: Mapping[str, float] = {}

MOST_LISTENING_SECONDS = 1.0

MOST_ID_CHARACTERS = 64
ROLES = ("merchant", "driver", "warehouse", "dispatcher", "system")

log = structlog.get_logger("calls")

# Probes ask all the time, and neither has an actor or a refusal of ours.
_QUIET = ("/grpc.health.", "/grpc.reflection.")


@dataclass(frozen=True)
class Caller:
    """Who calls: `name` is "role:id" of the metadata, else "anonymous"."""

    name: str
    role: str | None
    actor_id: str | None


@dataclass(frozen=True)
class Call:
    """One call under way; `deadline` is in seconds of the loop's clock."""

    method: str
    caller: Caller
    call_id: str
    deadline: float

    def remaining(self) -> float:
        """Seconds left until the deadline, negative once it has passed."""
        return self.deadline - time.monotonic()


_current: ContextVar[Call] = ContextVar("call")


def current_call() -> Call:
    """The call that this task works for; LookupError outside of one."""
    return _current.get()


def begin_message(context: Context) -> None:
    """Gives this task, which answers one message of a long stream, the time of a call of its own.

    The stream's own deadline stays the last.
    """
    left = context.time_remaining()
    seconds = CALL_CAP_SECONDS if left is None else min(left, CALL_CAP_SECONDS)
    _current.set(replace(current_call(), deadline=time.monotonic() + seconds))


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Names the call, finds the caller, bounds the time, turns errors into statuses, logs one line."""

    def __init__(
        self,
        statuses: ErrorStatuses,
        admit: Callable[[str], None] = lambda method: None,
        long_calls: Mapping[str, float] = NONE_LONG,
    ) -> None:
        """`admit` is asked before each call and raises what refuses it.

        `long_calls` are methods, by full name, that may last longer than others: so many seconds, with a deadline
        or without; `math.inf` is as long as the caller stays. They themselves must not wait long for a silent
        caller.
        """
        self._statuses = statuses
        self._admit = admit
        self._long_calls = long_calls

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        handler = await continuation(handler_call_details)
        if handler is None or handler_call_details.method.startswith(_QUIET):
            return handler
        method = handler_call_details.method
        most_seconds = self._most_seconds(method, handler)
        if handler.response_streaming:
            behaviour = self._streaming(method, handler.stream_stream or handler.unary_stream, most_seconds)
            make = (
                grpc.stream_stream_rpc_method_handler
                if handler.request_streaming
                else grpc.unary_stream_rpc_method_handler
            )
        else:
            behaviour = self._single(method, handler.stream_unary or handler.unary_unary, most_seconds)
            make = (
                grpc.stream_unary_rpc_method_handler
                if handler.request_streaming
                else grpc.unary_unary_rpc_method_handler
            )
        return make(behaviour, _tolerant(handler.request_deserializer), handler.response_serializer)

    def _most_seconds(self, method: str, handler: Any) -> "_MostSeconds":
        if method in self._long_calls:
            return _MostSeconds(self._long_calls[method], self._long_calls[method])
        streams = handler.request_streaming or handler.response_streaming
        return _MostSeconds(STREAM_CAP_SECONDS if streams else CALL_CAP_SECONDS, CALL_CAP_SECONDS)

    def _single(self, method: str, behaviour: Any, most_seconds: "_MostSeconds") -> Any:
        async def call(request: Any, context: Context) -> Any:
            async with _Guard(self._statuses, method, context, most_seconds):
                self._admit(method)
                request = _well_formed(request)
                if request_id := getattr(request, "request_id", ""):
                    structlog.contextvars.bind_contextvars(request_id=request_id[:64])
                try:
                    async with asyncio.timeout(current_call().remaining()):
                        reply = behaviour(request, context)
                        return await reply if inspect.isawaitable(reply) else reply
                except Exception:
                    await _hear_out(request)
                    raise

        return call

    def _streaming(self, method: str, behaviour: Any, most_seconds: "_MostSeconds") -> Any:
        async def call(request: Any, context: Context) -> AsyncIterator[Any]:
            async with _Guard(self._statuses, method, context, most_seconds):
                self._admit(method)
                request = _well_formed(request)
                try:
                    async for reply in _in_time(behaviour(request, context), current_call()):
                        yield reply
                except Exception:
                    await _hear_out(request)
                    raise

        return call


async def _in_time(replies: AsyncIterator[Any], call: Call) -> AsyncIterator[Any]:
    """The replies until the call's deadline. Raises TimeoutError.

    Only the wait for a reply is bounded: a timeout that fires while the caller takes its time to read would cancel
    grpc's own work, and no status would be sent. The look at the clock ends a stream that never waits.
    """
    while (left := call.remaining()) > 0:
        async with asyncio.timeout(left):
            try:
                reply = await anext(replies)
            except StopAsyncIteration:
                return
        yield reply
    raise TimeoutError


@dataclass(frozen=True)
class _MostSeconds:
    """How long a call may last whose caller names a deadline, and one whose caller names none."""

    with_deadline: float
    without: float


class _Guard:
    """Around one call: begins it, and lets no exception out but as a status."""

    def __init__(
        self, statuses: ErrorStatuses, method: str, context: Context, most_seconds: _MostSeconds
    ) -> None:
        self._statuses = statuses
        self._method = method
        self._context = context
        self._most_seconds = most_seconds
        self._began = time.monotonic()
        self._call_id = ""

    async def __aenter__(self) -> None:
        metadata = {str(key): value for key, value in self._context.invocation_metadata() or ()}
        self._call_id = str(metadata.get("x-call-id", ""))[:MOST_ID_CHARACTERS] or uuid.uuid4().hex
        left = self._context.time_remaining()
        # Without a deadline grpc answers None or a number of centuries.
        most = self._most_seconds
        seconds = most.without if left is None else min(left, most.with_deadline)
        try:
            caller = _caller(metadata)
        except ActorUnknown as error:
            structlog.contextvars.bind_contextvars(call_id=self._call_id, method=self._method)
            await self._abort(error)
        _current.set(Call(self._method, caller, self._call_id, self._began + seconds))
        structlog.contextvars.bind_contextvars(call_id=self._call_id, method=self._method, caller=caller.name)

    async def __aexit__(self, kind: Any, error: BaseException | None, traceback: Any) -> bool:
        if error is None:
            self._log("OK")
        elif isinstance(error, GeneratorExit | grpc.aio.AbortError):
            self._log("ABORTED_BY_HANDLER")
        elif isinstance(error, asyncio.CancelledError):
            task = asyncio.current_task()
            # When the caller leaves or its time is over, grpc cancels the task that works for it.
            if task is not None and task.cancelling():
                self._log("CANCELLED")
            else:
                # A CancelledError of our own making would leave the caller without any answer.
                await self._abort(RuntimeError("cancelled from inside"))
        elif isinstance(error, NotImplementedError):
            self._log("UNIMPLEMENTED")
            await self._context.abort(grpc.StatusCode.UNIMPLEMENTED, f"{self._method} is not implemented yet")
        elif isinstance(error, TimeoutError):
            await self._abort(DeadlineExceeded())
        elif isinstance(error, Exception):
            await self._abort(error)
        return False

    async def _abort(self, error: Exception) -> None:
        status = self._statuses.status(error, self._call_id)
        if status.code is grpc.StatusCode.INTERNAL:
            log.error("call failed", exc_info=error, call_id=self._call_id, method=self._method)
        self._log(status.code.name, reason=type(error).__name__)
        await self._context.abort(status.code, status.details, tuple(status.trailing_metadata or ()))

    def _log(self, code: str, **facts: str) -> None:
        log.info("call", code=code, milliseconds=round((time.monotonic() - self._began) * 1000, 1), **facts)


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


async def _hear_out(request: Any) -> None:
    """Lets a caller that is still sending finish, within a second, before it is refused.

    The status that meets a message on its way is lost on some clients: Python's then sees INTERNAL.
    """
    if not isinstance(request, AsyncIterator):
        return
    with suppress(Exception):
        async with asyncio.timeout(MOST_LISTENING_SECONDS):
            async for _ in request:
                pass


def _caller(metadata: dict[str, Any]) -> Caller:
    role, actor_id = metadata.get("actor-role") or None, metadata.get("actor-id") or None
    if role is not None and role not in ROLES:
        raise ActorUnknown("actor-role", f"must be one of {', '.join(ROLES)}")
    if actor_id is not None and len(actor_id) > MOST_ID_CHARACTERS:
        raise ActorUnknown("actor-id", f"must have at most {MOST_ID_CHARACTERS} characters")
    name = f"{role}:{actor_id}" if role and actor_id else "anonymous"
    return Caller(name, role, actor_id)
