"""Where work is in its trace. Nothing of OpenTelemetry is imported or done unless a collector is named.

A trace travels as W3C's `traceparent`: in the metadata of calls, in what waits to be done for one, and from there on.
"""

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

import grpc
from sqlalchemy.ext.asyncio import AsyncConnection

if TYPE_CHECKING:
    from servicekit.telemetry.spans import Spans

Kind = Literal["internal", "client"]

_NOTHING: AbstractContextManager[None] = nullcontext()
_spans: "Spans | None" = None


def collector(text: str) -> str:
    """The URL of a collector, as a setting is read. Raises ValueError, also where OpenTelemetry is not installed."""
    url = urlsplit(text)
    if url.scheme not in ("http", "https") or not url.hostname:
        raise ValueError("must be a URL such as http://collector.example:4317, with https for TLS")
    # The exporter heeds neither, and logs both.
    if "@" in url.netloc or url.query:
        raise ValueError("must name no user and no key: those are OTEL_EXPORTER_OTLP_HEADERS' to say")
    try:
        import servicekit.telemetry.spans  # noqa: F401
    except ImportError as error:
        raise ValueError(f"needs what holdfast[traces] installs: {error}") from None
    return text


def begin(service: str, collector: str) -> None:
    """From here on this process tells the collector at this URL of its spans; of none where it is empty."""
    global _spans
    if collector:
        from servicekit.telemetry.spans import Spans

        _spans = Spans(service, collector)


async def end() -> None:
    """Sends what is not sent yet."""
    global _spans
    if _spans is not None:
        ending, _spans = _spans, None
        await ending.end()


def here() -> str:
    """The traceparent of what is under way; empty where it is in no trace."""
    return _spans.here() if _spans is not None else ""


def trace_id() -> str:
    """That trace's id, as collectors show it; empty where there is none."""
    return _spans.trace_id() if _spans is not None else ""


def outgoing() -> tuple[tuple[str, str], ...]:
    """The metadata that takes the trace along in a call to another service."""
    traceparent = here()
    return (("traceparent", traceparent),) if traceparent else ()


def span(name: str, kind: Kind = "internal", of: Iterable[str] | None = None) -> AbstractContextManager[None]:
    """A span of the trace under way, or of the first of the traceparents `of`, which is linked to the others.

    Work that is in no trace begins none.
    """
    return _NOTHING if _spans is None else _spans.span(name, kind, of)


def follow(connection: AsyncConnection) -> None:
    """Has every statement of this connection be a span, if what is under way is in a trace that is kept."""
    if _spans is not None:
        _spans.follow(connection)


def interceptors() -> list[grpc.aio.ServerInterceptor]:
    """What a server needs so that each of its calls is a span."""
    return [] if _spans is None else [_spans.interceptor()]
