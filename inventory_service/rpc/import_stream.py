"""The messages of an import as they come, from a caller that may fall silent, at a server that may be told to stop."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from holdfast.inventory.v1 import transfer_pb2 as pb

from inventory_service.rpc.messages.transfer import NextMessage
from servicekit.errors import Draining

MOST_SILENCE_SECONDS = 60.0


@asynccontextmanager
async def import_messages(
    requests: AsyncIterator[pb.ImportStocksRequest], draining: asyncio.Event
) -> AsyncIterator[NextMessage]:
    """Gives a function that answers the next message, None after the last.

    It raises Draining once the server is told to stop, also while the caller is silent, and TimeoutError when the
    caller is silent for too long.
    """
    waiting: asyncio.Timeout | None = None

    async def stop_waiting() -> None:
        await draining.wait()
        if waiting is not None:
            waiting.reschedule(asyncio.get_running_loop().time())

    async def following() -> pb.ImportStocksRequest | None:
        nonlocal waiting
        if draining.is_set():
            raise Draining
        waiting = asyncio.timeout(MOST_SILENCE_SECONDS)
        try:
            async with waiting:
                return await anext(requests, None)
        except TimeoutError:
            if draining.is_set():
                raise Draining from None
            raise
        finally:
            waiting = None

    watching = asyncio.create_task(stop_waiting())
    try:
        yield following
    finally:
        watching.cancel()
