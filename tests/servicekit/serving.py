"""A real server on a free port around any behaviour, and what a caller sees of its refusals."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from holdfast.ops.v1 import ops_pb2 as pb

from servicekit.rpc.context import Context
from servicekit.rpc.error_status import ErrorStatuses
from servicekit.rpc.interceptor import NONE_LONG, CallInterceptor

SERVICE = "holdfast.test.Probe"
Asked, Answered = pb.ExplainQueryRequest, pb.ExplainQueryResponse
Metadata = tuple[tuple[str, str], ...]


class UnknownThing(Exception):
    """A refusal that the tests' server knows."""

    def __str__(self) -> str:
        return "no such thing"


STATUSES = ErrorStatuses("test.holdfast", {UnknownThing: grpc.StatusCode.NOT_FOUND})


@asynccontextmanager
async def serving(
    register: Callable[[grpc.aio.Server], None],
    statuses: ErrorStatuses = STATUSES,
    long_calls: Mapping[str, float] = NONE_LONG,
) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to a server that has the kit's interceptor and whatever `register` adds."""
    async with (
        serving_at(register, statuses, long_calls) as address,
        grpc.aio.insecure_channel(address) as channel,
    ):
        yield channel


@asynccontextmanager
async def serving_at(
    register: Callable[[grpc.aio.Server], None],
    statuses: ErrorStatuses = STATUSES,
    long_calls: Mapping[str, float] = NONE_LONG,
) -> AsyncIterator[str]:
    """The address of such a server."""
    interceptor = CallInterceptor(statuses, long_calls=long_calls)
    server = grpc.aio.server(interceptors=[interceptor], options=[("grpc.so_reuseport", 0)])
    register(server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


@asynccontextmanager
async def asking(
    behaviour: Callable[[Any, Context], Awaitable[Message]],
    asked: type[Message] = Asked,
    statuses: ErrorStatuses = STATUSES,
) -> AsyncIterator[Callable[..., grpc.aio.UnaryUnaryCall[Any, Any]]]:
    """Serves one unary method, and gives its caller's side."""
    handler: Any = grpc.unary_unary_rpc_method_handler(
        behaviour, asked.FromString, lambda answer: bytes(answer.SerializeToString())
    )
    handlers = grpc.method_handlers_generic_handler(SERVICE, {"Ask": handler})
    async with serving(lambda server: server.add_generic_rpc_handlers((handlers,)), statuses) as channel:
        yield channel.unary_unary(f"/{SERVICE}/Ask", asked.SerializeToString, lambda raw: raw)


@dataclass
class Seen:
    """A refusal as its caller sees it."""

    code: grpc.StatusCode
    message: str
    details: dict[str, Any]
    trailers: bytes

    @property
    def reason(self) -> str:
        """The ErrorInfo's reason."""
        return str(self.details["ErrorInfo"].reason)


def seen(error: grpc.aio.AioRpcError) -> Seen:
    """Unpacks the rich status of a failed call."""
    status = rpc_status.from_call(error)  # type: ignore[arg-type]
    details: dict[str, Any] = {}
    for packed in status.details if status else ():
        name = packed.type_url.rpartition(".")[2]
        details[name] = getattr(error_details_pb2, name)()
        packed.Unpack(details[name])
    trailers = b"\n".join(
        key.encode() + b": " + (value if isinstance(value, bytes) else value.encode())
        for key, value in error.trailing_metadata()
    )
    return Seen(error.code(), error.details() or "", details, trailers)
