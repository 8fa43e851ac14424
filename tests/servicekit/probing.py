"""The kit's whole server around one method, with no database behind it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc

from servicekit.operations import ops
from servicekit.process.server import Server
from servicekit.rpc.calls import current_call
from servicekit.rpc.context import Context
from tests.servicekit.scripts import write_history
from tests.servicekit.serving import Answered, Asked
from tests.servicekit.shop import build

SERVICE = "holdfast.ops.test.Probe"
"""One of operators, as they are answered without a database too."""
ASK = f"/{SERVICE}/Ask"
NOWHERE = "postgresql+asyncpg://127.0.0.1:9/none"


async def answer(request: Any, context: Context) -> Any:
    """As many seconds later as the query says: who calls."""
    await asyncio.sleep(float(request.query or 0))
    return Answered(query=context.peer(), plan=current_call().caller.name)


def register(server: grpc.aio.Server) -> None:
    """Adds the method."""
    handler: Any = grpc.unary_unary_rpc_method_handler(
        answer, Asked.FromString, lambda message: bytes(message.SerializeToString())
    )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {"Ask": handler}),))


@asynccontextmanager
async def probed(folder: Path, **changes: Any) -> AsyncIterator[tuple[Server, str]]:
    """A running server with Ask and, for operators, OpsService; and its address."""
    service, shop = build(NOWHERE, write_history(folder / "shop"))
    service.grpc_services, service.register = (), register
    service.admin_services, service.register_admin = (
        (ops.SERVICE_NAME,),
        lambda server: ops.register(server, shop),
    )
    for name, value in changes.items():
        setattr(service, name, value)
    server = Server(service)
    try:
        yield server, f"127.0.0.1:{await server.start()}"
    finally:
        await server.stop()


async def ask(channel: grpc.aio.Channel, seconds: float = 0, **call: Any) -> Any:
    """Asks over the channel."""
    method = channel.unary_unary(ASK, Asked.SerializeToString, Answered.FromString)
    return await method(Asked(query=str(seconds)), **{"timeout": 10, **call})
