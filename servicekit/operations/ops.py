"""The operators' service, the same on every service that gives it its schema and its checks."""

import asyncio
import os
import socket
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from textwrap import wrap
from typing import Any

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from holdfast.ops.v1 import ops_pb2 as pb
from holdfast.ops.v1 import ops_pb2_grpc
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from servicekit.draining import until_drained
from servicekit.errors import Overloaded
from servicekit.operations.consistency import ConsistencyCheck, Reconcile
from servicekit.operations.contract_steps import ContractStep
from servicekit.operations.diagnostics import PROBE_SECONDS, Diagnosis, Probe, diagnose
from servicekit.operations.index_usage import IndexUsage
from servicekit.operations.ops_messages import (
    diagnoses_message,
    finding_message,
    index_message,
    plans_message,
    repair_message,
)
from servicekit.operations.outboxes import Outbox
from servicekit.operations.query_plans import NamedQueries
from servicekit.persistence.conflicts import refusal
from servicekit.rpc.context import Context
from servicekit.rpc.validation import Violations
from servicekit.schema.migrations import Schema

SERVICE_NAME = pb.DESCRIPTOR.services_by_name["OpsService"].full_name

CHECK_SECONDS = 3600.0
"""How long a call of CheckConsistency or Reconcile may last."""
MOST_AT_ONCE = 8
"""How many calls ask the database at once over the operators' way to it, which has no bound of its own."""
TURN_SECONDS = 1.0
"""How long a further one waits for its turn."""
LONG_CALLS = {f"/{SERVICE_NAME}/{method}": CHECK_SECONDS for method in ("CheckConsistency", "Reconcile")}


class OpsServicer(ops_pb2_grpc.OpsServiceServicer):
    """Answers operators from what the service gives it."""

    def __init__(
        self,
        service: str,
        engine: AsyncEngine,
        schema: Schema,
        settings: Mapping[str, str],
        checks: Mapping[str, ConsistencyCheck],
        contract_steps: Callable[[], Awaitable[Sequence[ContractStep]]],
        reconcile: Reconcile,
        outbox: Outbox,
        index_usage: Callable[[AsyncConnection], Awaitable[Sequence[IndexUsage]]],
        queries: NamedQueries[Any, Any],
        probes: Mapping[str, Probe],
    ) -> None:
        """`engine` is a way to the database beside the service's own, whose pool may be used up."""
        self._service = service
        self._engine = engine
        self._schema = schema
        self._settings = settings
        self._checks = checks
        self._contract_steps = contract_steps
        self._reconcile = reconcile
        self._outbox = outbox
        self._index_usage = index_usage
        self._queries = queries
        self._probes = probes
        self._instance = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._start_time = datetime.now(UTC)
        self._draining = asyncio.Event()
        self._turns = asyncio.Semaphore(MOST_AT_ONCE)
        self._diagnosing: asyncio.Task[dict[str, Diagnosis]] | None = None

    def drain(self) -> None:
        """Ends checks and repairs under way with DRAINING."""
        self._draining.set()

    async def GetServerInfo(
        self, request: pb.GetServerInfoRequest, context: Context
    ) -> pb.GetServerInfoResponse:
        async with self._turn():
            engine, engine_version = await self._engine_and_version_in_time()
        start_time = Timestamp()
        start_time.FromDatetime(self._start_time)
        return pb.GetServerInfoResponse(
            service=self._service,
            version=version("holdfast"),
            commit=os.environ.get("HOLDFAST_COMMIT", ""),
            instance=self._instance,
            start_time=start_time,
            engine=engine,
            engine_version=engine_version,
            settings=self._settings,
        )

    async def GetMigrationStatus(
        self, request: pb.GetMigrationStatusRequest, context: Context
    ) -> pb.GetMigrationStatusResponse:
        async with self._turn():
            applied = await self._schema.applied(self._engine)
            steps = await self._contract_steps()
        pending = [
            pb.Revision(id=step.id, description=step.description) for step in self._schema.pending(applied)
        ]
        return pb.GetMigrationStatusResponse(
            applied_revision=applied or "",
            expected_revision=self._schema.expected,
            pending=pending,
            contract_steps=[
                pb.ContractStep(name=step.name, done=step.done, allowed=step.allowed, reason=step.reason)
                for step in steps
            ],
        )

    async def GetDiagnostics(
        self, request: pb.GetDiagnosticsRequest, context: Context
    ) -> pb.GetDiagnosticsResponse:
        # Whoever asks while it is looked is told what is seen: each look takes a connection for every probe.
        if self._diagnosing is None or self._diagnosing.done():
            self._diagnosing = asyncio.create_task(diagnose(self._probes))
        return diagnoses_message(await asyncio.shield(self._diagnosing))

    async def GetIndexUsage(
        self, request: pb.GetIndexUsageRequest, context: Context
    ) -> pb.GetIndexUsageResponse:
        async with self._turn(), self._engine.connect() as connection:
            usages = await self._index_usage(connection)
        return pb.GetIndexUsageResponse(indexes=map(index_message, usages))

    async def ExplainQuery(
        self, request: pb.ExplainQueryRequest, context: Context
    ) -> pb.ExplainQueryResponse:
        with Violations() as violations:
            if request.query not in self._queries.queries:
                # A violation is cut off where it is long.
                for names in wrap(
                    ", ".join(sorted(self._queries.queries)) or "none", 150, break_on_hyphens=False
                ):
                    violations.add("query", f"must be one of {names}")
        async with self._turn(), self._engine.connect() as connection:
            return plans_message(request.query, await self._queries.explain(request.query, connection))

    async def CheckConsistency(
        self, request: pb.CheckConsistencyRequest, context: Context
    ) -> AsyncIterator[pb.CheckConsistencyResponse]:
        with Violations() as violations:
            self._check_names(violations, request.checks)
        with _database():
            for name, look in self._checks.items():
                if request.checks and name not in request.checks:
                    continue
                async for finding in until_drained(look(), self._draining):
                    yield pb.CheckConsistencyResponse(finding=finding_message(finding))

    async def Reconcile(
        self, request: pb.ReconcileRequest, context: Context
    ) -> AsyncIterator[pb.ReconcileResponse]:
        with Violations() as violations:
            violations.request_id(request.request_id)
            self._check_names(violations, request.checks)
        with _database():
            async for repair in until_drained(self._reconcile(request, context), self._draining):
                yield repair_message(repair)

    async def ListOutbox(self, request: pb.ListOutboxRequest, context: Context) -> pb.ListOutboxResponse:
        return await self._outbox.list_entries(request)

    async def RequeueOutbox(
        self, request: pb.RequeueOutboxRequest, context: Context
    ) -> pb.RequeueOutboxResponse:
        return await self._outbox.requeue(request, context)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """For a call that asks the database over the operators' way to it. Raises Overloaded."""
        try:
            await asyncio.wait_for(self._turns.acquire(), TURN_SECONDS)
        except TimeoutError:
            raise Overloaded from None
        try:
            with _database():
                yield
        finally:
            self._turns.release()

    def _check_names(self, violations: Violations, names: Sequence[str]) -> None:
        for index, name in enumerate(names):
            if name not in self._checks:
                violations.add(f"checks[{index}]", f"must be one of {', '.join(self._checks)}")

    async def _engine_and_version_in_time(self) -> tuple[str, str]:
        asking = asyncio.create_task(self._engine_and_version())
        try:
            await asyncio.wait([asking], timeout=PROBE_SECONDS)
        finally:
            # Not awaited: to end a connection that hangs may take as long as the hanging.
            asking.cancel()
        return asking.result() if asking.done() else ("", "")

    async def _engine_and_version(self) -> tuple[str, str]:
        try:
            async with self._engine.connect() as connection:
                found: str = (await connection.execute(text("SELECT VERSION()"))).scalar_one()
        except (OSError, SQLAlchemyError):
            return "", ""
        if found.startswith("PostgreSQL "):
            return "PostgreSQL", found.split()[1]
        return ("MariaDB" if "MariaDB" in found else "MySQL"), found


@contextmanager
def _database() -> Iterator[None]:
    """Tells a database that went away, or is slow, from a fault of ours."""
    try:
        yield
    except (OSError, SQLAlchemyError) as error:
        if (refused := refusal(error)) is not None:
            raise refused from error
        raise


def register(server: grpc.aio.Server, servicer: OpsServicer) -> None:
    """Adds OpsService to the server."""
    ops_pb2_grpc.add_OpsServiceServicer_to_server(servicer, server)
