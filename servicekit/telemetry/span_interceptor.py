"""A span for each call of ours that a server answers, in the trace that its caller names."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import grpc
from opentelemetry.trace import Span, StatusCode

from servicekit.rpc.calls import call_under_way
from servicekit.rpc.context import Context
from servicekit.rpc.handlers import Behaviour, WrappingInterceptor, with_behaviour

# Those of which the server is to blame, as OpenTelemetry's conventions have it.
_FAULTS = frozenset(
    {
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
    }
)


class SpanInterceptor(WrappingInterceptor):
    """Stands before every other: what these log and refuse is in the span."""

    def __init__(self, span: Callable[[str, Mapping[str, Any]], AbstractContextManager[Span]]) -> None:
        """`span` begins that of a call, by the method's full name and the call's metadata."""
        super().__init__()
        self._span = span

    def wrap(self, method: str, handler: Any) -> Any:
        # Probes ask for health all the time.
        if not method.startswith("/holdfast."):
            return handler

        def traced(behaviour: Behaviour) -> Behaviour:
            async def call(request: Any, context: Context) -> Any:
                with self._span(method, _metadata(context)) as span, _told(span, context):
                    # Those of our own interceptor send their replies themselves, where there are many.
                    return await behaviour(request, context)

            return call

        return with_behaviour(handler, traced)


def _metadata(context: Context) -> Mapping[str, Any]:
    return dict(context.invocation_metadata() or ())


@contextmanager
def _told(span: Span, context: Context) -> Iterator[None]:
    """Says how the call ended; without a status its caller has left."""
    left = False
    try:
        yield
    except asyncio.CancelledError:
        left = True
        raise
    finally:
        code = grpc.StatusCode.CANCELLED if left else context.code() or grpc.StatusCode.OK
        span.set_attribute("rpc.grpc.status_code", code.value[0])
        if code in _FAULTS:
            span.set_status(StatusCode.ERROR, code.name)
        if call := call_under_way():
            span.set_attribute("holdfast.call_id", call.call_id)
