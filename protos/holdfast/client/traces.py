"""The trace of the span that is open around a call goes along with it, where the caller uses OpenTelemetry.

The services' spans are then in it. Whoever names a `traceparent` in a call's metadata keeps that one.
"""

import sys
from collections.abc import Awaitable, Callable
from typing import Any

import grpc


def traceparent() -> str:
    """W3C's words for the current span; empty where there is none."""
    # Whoever has a span open has imported it; nobody else pays for it, or needs it.
    if "opentelemetry.trace" not in sys.modules:
        return ""
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get("traceparent", "")


def traced(details: Any) -> Any:
    """The call's details with the traceparent among their metadata."""
    here, given = traceparent(), tuple(details.metadata or ())
    if not here or any(key == "traceparent" for key, _ in given):
        return details
    return details._replace(metadata=grpc.aio.Metadata(*given, ("traceparent", here)))


class Traced(
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    """Takes the trace along in the streams of a channel for threads."""

    def intercept_unary_stream(
        self, continuation: Callable[[Any, Any], Any], client_call_details: Any, request: Any
    ) -> Any:
        return continuation(traced(client_call_details), request)

    def intercept_stream_unary(
        self, continuation: Callable[[Any, Any], Any], client_call_details: Any, request_iterator: Any
    ) -> Any:
        return continuation(traced(client_call_details), request_iterator)

    def intercept_stream_stream(
        self, continuation: Callable[[Any, Any], Any], client_call_details: Any, request_iterator: Any
    ) -> Any:
        return continuation(traced(client_call_details), request_iterator)


class AioTracedAnswers(grpc.aio.UnaryStreamClientInterceptor):
    """Takes it along in the streams of answers of a channel for asyncio, which wants a class for each kind."""

    async def intercept_unary_stream(
        self, continuation: Callable[[Any, Any], Awaitable[Any]], client_call_details: Any, request: Any
    ) -> Any:
        return await continuation(traced(client_call_details), request)


class AioTracedRequests(grpc.aio.StreamUnaryClientInterceptor):
    """In the streams of requests."""

    async def intercept_stream_unary(
        self,
        continuation: Callable[[Any, Any], Awaitable[Any]],
        client_call_details: Any,
        request_iterator: Any,
    ) -> Any:
        return await continuation(traced(client_call_details), request_iterator)


class AioTracedBoth(grpc.aio.StreamStreamClientInterceptor):
    """In the streams of both."""

    async def intercept_stream_stream(
        self,
        continuation: Callable[[Any, Any], Awaitable[Any]],
        client_call_details: Any,
        request_iterator: Any,
    ) -> Any:
        return await continuation(traced(client_call_details), request_iterator)
