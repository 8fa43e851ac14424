"""What answers the methods of a server, wrapped: each method once, whichever of the four kinds of calls it takes."""

from abc import abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any

import grpc

Behaviour = Callable[[Any, Any], Any]
"""What answers a call, given its request, or its stream of requests, and its context."""


class WrappingInterceptor(grpc.aio.ServerInterceptor):
    """Wraps a method's handler when the method is first called, and remembers it; of one server and its methods."""

    def __init__(self) -> None:
        self._wrapped: dict[str, Any] = {}

    @abstractmethod
    def wrap(self, method: str, handler: Any) -> Any:
        """The handler that is to answer the method, by its full name; the same one where it is left alone."""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        method = handler_call_details.method
        if wrapped := self._wrapped.get(method):
            return wrapped
        handler = await continuation(handler_call_details)
        # Names that no method bears are not remembered: there is no end of them.
        if handler is not None:
            handler = self._wrapped[method] = self.wrap(method, handler)
        return handler


def with_behaviour(handler: Any, wrap: Callable[[Behaviour], Behaviour]) -> Any:
    """The same handler, answering with what `wrap` makes of its behaviour."""
    asked = "stream" if handler.request_streaming else "unary"
    answered = "stream" if handler.response_streaming else "unary"
    kind = f"{asked}_{answered}"
    return handler._replace(**{kind: wrap(getattr(handler, kind))})
