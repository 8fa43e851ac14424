"""Spans by OpenTelemetry, sent by OTLP over gRPC; the only module that imports it, and imported only where it is on.

How many traces are kept, how spans are batched and what they are sent with, OpenTelemetry's own variables say
(OTEL_TRACES_SAMPLER, OTEL_BSP_…, OTEL_EXPORTER_OTLP_…, OTEL_RESOURCE_ATTRIBUTES).
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.metadata import version
from threading import Thread
from typing import Any

import grpc
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, Span, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.ext.asyncio import AsyncConnection

from servicekit.telemetry.span_interceptor import SpanInterceptor

_KINDS = {"internal": SpanKind.INTERNAL, "client": SpanKind.CLIENT}
_W3C = TraceContextTextMapPropagator()
_TEXT_CHARACTERS = 2_000
END_SECONDS = 3.0


class Spans:
    """The spans of one process."""

    def __init__(self, service: str, collector: str) -> None:
        resource = Resource({"service.name": f"holdfast-{service}", "service.version": version("holdfast")})
        self._provider = TracerProvider(
            resource=resource.merge(OTELResourceDetector().detect()), shutdown_on_exit=False
        )
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=collector)))
        self._tracer = self._provider.get_tracer("holdfast", version("holdfast"))
        # The one thing that a connection does not tell of itself.
        event.listen(Engine, "handle_error", _statement_failed)

    async def end(self) -> None:
        """Sends what is left, for END_SECONDS at most: a collector that is away is no reason to stay."""
        event.remove(Engine, "handle_error", _statement_failed)
        loop, ended = asyncio.get_running_loop(), asyncio.Event()

        def shut_down() -> None:
            self._provider.shutdown()
            # Whoever waited may have left, and the loop with it.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(ended.set)

        # The library takes its time; a process does not wait for the end of a daemon.
        Thread(target=shut_down, name="spans", daemon=True).start()
        with suppress(TimeoutError):
            async with asyncio.timeout(END_SECONDS):
                await ended.wait()

    def here(self) -> str:
        """The traceparent of the span under way."""
        carrier: dict[str, str] = {}
        _W3C.inject(carrier)
        return carrier.get("traceparent", "")

    def trace_id(self) -> str:
        """That of the span under way."""
        found = trace.get_current_span().get_span_context()
        return trace.format_trace_id(found.trace_id) if found.is_valid else ""

    @contextmanager
    def span(self, name: str, kind: str, of: Iterable[str] | None) -> Iterator[None]:
        """As in `traces`."""
        parent, links = _belonging(of)
        if not trace.get_current_span(parent).get_span_context().is_valid:
            yield
            return
        with (
            self._tracer.start_as_current_span(
                name, parent, _KINDS[kind], links=links, record_exception=False, set_status_on_exception=False
            ) as span,
            _named_errors(span),
        ):
            yield

    def follow(self, connection: AsyncConnection) -> None:
        """As in `traces`."""
        if trace.get_current_span().is_recording():
            event.listen(connection.sync_connection, "before_cursor_execute", self._statement_begins)
            event.listen(connection.sync_connection, "after_cursor_execute", _statement_ends)

    def interceptor(self) -> grpc.aio.ServerInterceptor:
        """As in `traces`."""
        return SpanInterceptor(self._call)

    @contextmanager
    def _call(self, method: str, metadata: Mapping[str, Any]) -> Iterator[Span]:
        service, _, name = method.strip("/").partition("/")
        with self._tracer.start_as_current_span(
            f"{service}/{name}",
            _W3C.extract({"traceparent": str(metadata.get("traceparent", ""))}, Context()),
            SpanKind.SERVER,
            {"rpc.system": "grpc", "rpc.service": service, "rpc.method": name},
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            yield span

    def _statement_begins(
        self,
        connection: Connection,
        _cursor: Any,
        statement: str,
        _parameters: Any,
        context: Any,
        _many: bool,
    ) -> None:
        dialect = connection.dialect
        # Only the text: values may be anybody's name, and are not in it.
        context.holdfast_span = self._tracer.start_span(
            statement.split(maxsplit=1)[0].upper(),
            kind=SpanKind.CLIENT,
            attributes={
                "db.system.name": "mariadb" if getattr(dialect, "is_mariadb", False) else dialect.name,
                "db.query.text": " ".join(statement.split())[:_TEXT_CHARACTERS],
            },
        )


def _statement_ends(
    _connection: Connection, _cursor: Any, _statement: str, _parameters: Any, context: Any, _many: bool
) -> None:
    context.holdfast_span.end()


def _statement_failed(failure: ExceptionContext) -> None:
    span: Span | None = getattr(failure.execution_context, "holdfast_span", None)
    if span is not None:
        span.set_status(StatusCode.ERROR, type(failure.original_exception).__name__)
        span.end()


def _belonging(of: Iterable[str] | None) -> tuple[Context | None, list[Link]]:
    """The context to begin a span in, and what it is linked to; None is the context under way."""
    if of is None:
        return None, []
    contexts = [_W3C.extract({"traceparent": each}, Context()) for each in of if each]
    found = [context for context in contexts if trace.get_current_span(context).get_span_context().is_valid]
    if not found:
        return Context(), []
    return found[0], [Link(trace.get_current_span(context).get_span_context()) for context in found[1:]]


@contextmanager
def _named_errors(span: Span) -> Iterator[None]:
    """Says which kind of error ended the span, and no more of it: its words may name what nobody else may read."""
    try:
        yield
    except BaseException as error:
        span.set_status(StatusCode.ERROR, type(error).__name__)
        raise
