"""A small service as bootstrap builds one; `python -m tests.servicekit.shop URL SCRIPTS` serves it until SIGTERM."""

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.message import Message
from holdfast.ops.v1 import ops_pb2 as pb
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from servicekit.operations import ops
from servicekit.operations.consistency import ConsistencyCheck, Finding, Repair
from servicekit.operations.contract_steps import ContractStep
from servicekit.operations.diagnostics import Diagnosis, Probe, fine
from servicekit.operations.index_usage import IndexUsage
from servicekit.operations.outboxes import NoOutbox
from servicekit.operations.query_plans import NamedQueries
from servicekit.persistence.engines import create_engine
from servicekit.persistence.transactions import Transactions
from servicekit.process.server import Server, Service, serve
from servicekit.rpc.context import Context
from servicekit.rpc.mutations import Mutations
from servicekit.schema.migrations import Schema
from servicekit.tasks import Tasks
from servicekit.telemetry import logs
from tests.servicekit.accounts import Accounts
from tests.servicekit.serving import STATUSES

SETTINGS = {"database_url": "postgresql+asyncpg://u:***@h/shop", "port": "7000"}


async def _two_findings() -> AsyncIterator[Finding]:
    yield Finding(
        "ledger", "AJ1-42", "quantity is 5, its movements add up to 4", {"quantity": "5", "movements": "4"}
    )
    yield Finding("ledger", "AJ1-43", "quantity is 1, its movements add up to 0")


def _checks(engine: AsyncEngine) -> Mapping[str, ConsistencyCheck]:
    async def ask_the_database() -> AsyncIterator[Finding]:
        async with engine.connect() as connection:
            for _ in await connection.execute(text("SELECT 1 FROM (SELECT 1 AS one) t WHERE one > 1")):
                yield Finding("holds", "one", "is more than 1")

    return {"ledger": _two_findings, "holds": ask_the_database}


async def _nothing_to_remove() -> Sequence[ContractStep]:
    return ()


async def _nothing_to_repair(request: pb.ReconcileRequest, context: Context) -> AsyncIterator[Repair]:
    for _ in ():
        yield _


async def _no_sample(connection: AsyncConnection) -> None:
    return None


class Shop(ops.OpsServicer):
    """The operators' service, with a mutation that takes as long as its note says."""

    def __init__(self, service: Service) -> None:
        super().__init__(
            "shop",
            service.engine,
            service.schema,
            SETTINGS,
            _checks(service.engine),
            _nothing_to_remove,
            reconcile=_nothing_to_repair,
            outbox=NoOutbox(),
            index_usage=self._look_at_indexes,
            queries=NamedQueries({}, Accounts, _no_sample),
            probes={"shop": Probe(self._look, "look at the door")},
        )
        self._mutations = Mutations(Transactions(service.engine, Accounts), service.tasks)
        self.began = asyncio.Event()
        self.looking = 0
        """Calls that look at indexes or probes now, until they may go on."""
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def _look_at_indexes(self, connection: AsyncConnection) -> Sequence[IndexUsage]:
        await self._wait()
        return ()

    async def _look(self) -> Diagnosis:
        await self._wait()
        return fine("the shop is open")

    async def _wait(self) -> None:
        self.looking += 1
        await self.go_on.wait()
        self.looking -= 1

    async def RequeueOutbox(self, request: pb.RequeueOutboxRequest, context: Context) -> Any:
        async def deposit(uow: Accounts) -> Message:
            await uow.add(1, 1)
            self.began.set()
            await asyncio.sleep(float(request.note or 0))
            return pb.RequeueOutboxResponse()

        return await self._mutations.run(request, deposit, pb.RequeueOutboxResponse, context=context)


def build(url: str, scripts: Path, **changes: Any) -> tuple[Service, Shop]:
    """The service on a free port, and its servicer."""
    service = Service(
        name="shop",
        grpc_services=(ops.SERVICE_NAME,),
        listen="127.0.0.1:0",
        engine=create_engine(url),
        schema=Schema("shop", scripts),
        statuses=STATUSES,
        register=lambda server: ops.register(server, shop),
        tasks=Tasks(),
        drain_pause_seconds=0.05,
    )
    for name, value in changes.items():
        setattr(service, name, value)
    shop = Shop(service)
    return service, shop


@asynccontextmanager
async def open_shop(service: Service) -> AsyncIterator[tuple[Server, str, grpc.aio.Channel]]:
    """A running server, its address and a channel to it; stops it unless the test has."""
    server = Server(service)
    address = f"127.0.0.1:{await server.start()}"
    try:
        async with grpc.aio.insecure_channel(address) as channel:
            yield server, address, channel
    finally:
        await server.stop()


if __name__ == "__main__":
    logs.configure("info")
    sys.exit(asyncio.run(serve(build(sys.argv[1], Path(sys.argv[2]))[0])))
