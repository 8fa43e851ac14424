"""Around one call: it is named, its caller is found, and no exception leaves it but as a status."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import grpc
import structlog

from servicekit.errors import CallerUnknown, DeadlineExceeded
from servicekit.rpc import calls
from servicekit.rpc.calls import ANONYMOUS, Call, Caller, begin_call
from servicekit.rpc.context import Context
from servicekit.rpc.error_status import ErrorStatuses
from servicekit.rpc.hearing import MOST_LISTENING_SECONDS, hear_out
from servicekit.tasks import being_cancelled

MOST_LOGGED_CHARACTERS = 64

log = structlog.get_logger("calls")

FindCaller = Callable[[Context, Mapping[Any, Any]], Caller]
"""Says who calls, from the connection and the metadata."""

Note = Callable[["Guard", str, Mapping[str, str]], None]
"""Writes down how a call ended: its code, and what there is to say beside it."""


class Guard:
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
        """From here on this task works for the call, which is admitted.

        Raises ActorUnknown, CallerUnknown, and what refuses it.
        """
        caller = ANONYMOUS
        try:
            caller = self._caller(self._context, self._metadata)
        finally:
            # Where nobody can be made out, the call has its id and its line all the same.
            request_id = getattr(self._request, "request_id", "")[:MOST_LOGGED_CHARACTERS]
            call = Call(self.method, caller, self._call_id, self._deadline, request_id, self._admit)
            begin_call(call)
        call.admit(call)
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


async def _all_of(request: Any) -> None:
    if isinstance(request, AsyncIterator):
        async for _ in request:
            pass
