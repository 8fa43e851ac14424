"""The one spelling of the server's side of a call."""

from typing import Any, TypeAlias

import grpc

# The stubs declare the second parameter as Awaitable or AsyncIterator, invariantly; nothing of ours depends on it.
Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]
