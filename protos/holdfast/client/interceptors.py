"""What a call with one request and one answer is given before gRPC sees it: a deadline and a request_id.

All its tries then have the same ones, and the server is told both, and of the trace under way.
"""

import uuid
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import grpc
from google.protobuf.message import Message
from holdfast.client.service_config import deadline_seconds
from holdfast.client.traces import traced

Request = TypeVar("Request")


class Complete(grpc.UnaryUnaryClientInterceptor):
    """Completes the calls of a channel for threads."""

    def intercept_unary_unary(
        self, continuation: Callable[[Any, Any], Any], client_call_details: Any, request: Any
    ) -> Any:
        return continuation(traced(bounded(client_call_details)), identified(request))


class AioComplete(grpc.aio.UnaryUnaryClientInterceptor):
    """Completes the calls of a channel for asyncio."""

    async def intercept_unary_unary(
        self, continuation: Callable[[Any, Any], Awaitable[Any]], client_call_details: Any, request: Any
    ) -> Any:
        return await continuation(traced(bounded(client_call_details)), identified(request))


def bounded(details: Any) -> Any:
    """The call's details with the deadline of its method, where the caller named none."""
    if details.timeout is not None:
        return details
    method = details.method.decode() if isinstance(details.method, bytes) else details.method
    return details._replace(timeout=deadline_seconds(method))


def identified(request: Request) -> Request:
    """The request with a request_id, where its contract has one and the caller named none (as AIP-4235 has it).

    A copy: who sends the same message twice on purpose means two calls. Where a reservation_id protects a call, for
    ever, no second id is spent on it.
    """
    message: Any = request
    names = message.DESCRIPTOR.fields_by_name if isinstance(message, Message) else {}
    if "request_id" not in names or "reservation_id" in names or message.request_id:
        return request
    copy = type(message)()
    copy.CopyFrom(message)
    copy.request_id = str(uuid.uuid4())
    return copy  # type: ignore[no-any-return]
