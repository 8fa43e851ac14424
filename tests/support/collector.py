"""What receives spans: the collector's own service, by OTLP over gRPC."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as pb
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc

from tests.servicekit.waiting import until


@dataclass(frozen=True)
class Seen:
    """A span as it arrived; ids in hex, `parent` empty where it has none."""

    service: str
    name: str
    kind: str
    trace: str
    span: str
    parent: str
    attributes: dict[str, Any]
    links: tuple[str, ...]
    error: str | None
    """What its status says where that is an error."""


@dataclass
class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Where spans arrive."""

    endpoint: str = ""
    spans: list[Seen] = field(default_factory=list)
    raw: bytes = b""
    """All of it, as it was on the wire."""

    async def Export(
        self, request: pb.ExportTraceServiceRequest, context: Any
    ) -> pb.ExportTraceServiceResponse:
        """Receives spans."""
        self.raw += request.SerializeToString()
        for of_resource in request.resource_spans:
            service = _plain(of_resource.resource.attributes)["service.name"]
            for of_scope in of_resource.scope_spans:
                self.spans += [_seen(service, span) for span in of_scope.spans]
        return pb.ExportTraceServiceResponse()

    async def wait_for(self, **wanted: str) -> Seen:
        """The first span that is as wanted, once it is there."""
        await until(lambda: self.found(**wanted), 20)
        return self.found(**wanted)[0]

    def found(self, **wanted: str) -> list[Seen]:
        """The spans that are as wanted."""
        fits: Callable[[Seen], bool] = lambda span: all(  # noqa: E731
            getattr(span, name) == value for name, value in wanted.items()
        )
        return [span for span in self.spans if fits(span)]


@asynccontextmanager
async def collecting() -> AsyncIterator[Collector]:
    """A collector that listens."""
    collector = Collector()
    server = grpc.aio.server()
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(collector, server)  # type: ignore[no-untyped-call]
    collector.endpoint = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    try:
        yield collector
    finally:
        await server.stop(1)


def _seen(service: str, span: Any) -> Seen:
    return Seen(
        service=service,
        name=span.name,
        kind=type(span).SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        trace=span.trace_id.hex(),
        span=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        attributes=_plain(span.attributes),
        links=tuple(link.trace_id.hex() for link in span.links),
        error=span.status.message if span.status.code == 2 else None,
    )


def _plain(attributes: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}
