"""The messages of an import as they come, from a caller that may fall silent, at a server that may be told to stop."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from holdfast.inventory.v1 import transfer_pb2 as pb

from inventory_service.rpc.messages.transfer import NextMessage
from servicekit.draining import watched

MOST_SILENCE_SECONDS = 60.0


@asynccontextmanager
async def import_messages(
    requests: AsyncIterator[pb.ImportStocksRequest], draining: asyncio.Event
) -> AsyncIterator[NextMessage]:
    """Gives a function that answers the next message, None after the last.

    It raises Draining once the server is told to stop, also while the caller is silent, and TimeoutError when the
    caller is silent for too long.
    """
    async with watched(draining) as waiting:

        async def following() -> pb.ImportStocksRequest | None:
            async with waiting(MOST_SILENCE_SECONDS):
                return await anext(requests, None)

        yield following
