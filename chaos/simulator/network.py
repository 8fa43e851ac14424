"""The wire between the services: a call waits there as what it asks, until its answer comes or its time is over."""

from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

import grpc
from google.protobuf.message import Message

T = TypeVar("T")


@dataclass(eq=False)
class Request:
    """What is on its way to a service."""

    method: str
    message: Message

    def __await__(self) -> Generator["Request", Message, Message]:
        return (yield self)


class Wire:
    """A channel over which every call is a Request that somebody else must answer."""

    def unary_unary(self, method: str, *how: object, **options: object) -> Callable[..., Request]:
        """The call of one method, as stubs ask for it."""
        return partial(_request, method.rpartition("/")[2])

    unary_stream = stream_unary = stream_stream = unary_unary


def _request(method: str, message: Message, **options: object) -> Request:
    return Request(method, message)


class Call(Generic[T]):
    """Work of a caller that has got as far as a request, and waits for what comes back."""

    def __init__(self, work: Coroutine[Any, Any, T]) -> None:
        self._work = work
        self.request = self._go_on(None)

    def answer(self, reply: Message | Exception) -> T:
        """What the caller makes of it; it asks for nothing more."""
        try:
            self._go_on(reply)
        except StopIteration as end:
            result: T = end.value
            return result
        raise AssertionError("one call, two requests")

    def _go_on(self, reply: Message | Exception | None) -> Request:
        while True:
            waits_for = self._work.throw(reply) if isinstance(reply, Exception) else self._work.send(reply)
            if isinstance(waits_for, Request):
                return waits_for
            # A turn of the loop, of which there is none.
            reply = None


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """What work answers that waits for nothing."""
    try:
        work.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    raise AssertionError("a use case waits for something that is not simulated")


def failure(
    code: grpc.StatusCode, details: str, trailing: tuple[tuple[str, str | bytes], ...] = ()
) -> grpc.aio.AioRpcError:
    """An answer that is none, or a refusal."""
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(*trailing), details=details)
