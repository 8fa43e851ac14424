"""The way of an adoption: recognise, check, back up, begin, upgrade, verify, finish."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from inventory_service.adoption import journal, prepare, sku_map, snapshot
from inventory_service.adoption.backup import back_up
from inventory_service.adoption.catalogue import Verdict, tables_of
from inventory_service.adoption.checks import checks
from inventory_service.adoption.documents import Counted, check_documents, conversion, verify_documents
from inventory_service.adoption.expectations import SPLIT_TABLES
from inventory_service.adoption.findings import Findings
from inventory_service.adoption.plan import Line, plan, table_of
from inventory_service.adoption.programs import BackupFailed, Programs, find_programs
from inventory_service.adoption.shape import Kind, Shape, recognise
from servicekit.conflicts import may_run_again
from servicekit.crash_points import crash_point
from servicekit.migrations import Schema

TRIES = 30
_TAKE = text("SELECT pg_try_advisory_lock(hashtext('holdfast.inventory.adopt'))")
_GIVE = text("SELECT pg_advisory_unlock(hashtext('holdfast.inventory.adopt'))")

Progress = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]


class AdoptionRefused(Exception):
    """The database cannot be adopted as it is; the message says why, and that nothing was changed."""


class AdoptionUnfinished(Exception):
    """The adoption was begun and is not finished; the message says how to go on."""


@dataclass(frozen=True)
class Request:
    """What the operator asks for; `time_zone` is that of times without one."""

    folder: Path
    sku_map: Path | None = None
    time_zone: str | None = None
    pg_dump: Path | None = None
    dry_run: bool = False
    without_backup: bool = False
    accept_differences: bool = False


class Adoption:
    """One run; `tell` takes lines for the operator, `progress` shows how far long work is."""

    def __init__(
        self,
        engine: AsyncEngine,
        schema: Schema,
        request: Request,
        tell: Callable[[str], None],
        progress: Progress,
    ) -> None:
        self._engine = engine
        self._schema = schema
        self._request = request
        self._tell = tell
        self._progress = progress
        self._zone = ZoneInfo(request.time_zone or "UTC")
        self._findings = Findings(request.folder / f"adoption-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.txt")

    async def run(self) -> None:
        """Adopts the database, or finishes what an earlier run began; a dry run only tells.

        Raises AdoptionRefused, AdoptionUnfinished, BackupFailed, SkuMapInvalid.
        """
        async with self._alone(), self._engine.connect() as connection:
            shape = await recognise(connection, self._request.time_zone)
            await connection.rollback()
            if shape.kind is Kind.BEGUN:
                await self._go_on(connection)
                return
            self._tell(f"this database {shape.kind.value}")
            self._refuse_other_kinds(shape)
            self._tell_differences(shape)
            programs = await self._programs(connection)
            lines, revision = await self._check(connection, shape)
            self._tell(
                "\n"
                + table_of(
                    ["found", "", "becomes"], [[line.what, line.found, line.becomes] for line in lines]
                )
            )
            self._tell(f"\nit is taken as revision {revision} and upgraded to {self._schema.expected}")
            if self._request.dry_run:
                self._tell("dry run: nothing was changed")
                return
            await self._begin(connection, shape, revision, programs)
            await self._finish(connection)

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        async with self._engine.connect() as guard:
            await guard.execution_options(isolation_level="AUTOCOMMIT")
            if not (await guard.execute(_TAKE)).scalar():
                raise AdoptionRefused("another adoption of this database is running")
            try:
                yield
            finally:
                await guard.execute(_GIVE)
                self._findings.close()

    def _refuse_other_kinds(self, shape: Shape) -> None:
        advice = {
            Kind.OURS: "bring it up to date with: inventory-service migrate upgrade",
            Kind.EMPTY: "lay out the tables with: inventory-service migrate upgrade",
            Kind.FOREIGN: f"the schema inventory has the tables {', '.join(shape.tables) or 'none'};"
            " stock, with id and quantity, is not among them",
        }
        if shape.kind in advice:
            raise AdoptionRefused(
                f"there is nothing to adopt: this database {shape.kind.value}; {advice[shape.kind]}"
            )

    def _tell_differences(self, shape: Shape) -> None:
        if shape.kind is Kind.HALF_WAY:
            self._tell(f"there already: {', '.join(shape.done)}\nmissing still: {', '.join(shape.missing)}")
        for found in shape.differences:
            if found.verdict is not Verdict.STOPS:
                self._tell(f"{found.table}.{found.column} {found.says}: {found.verdict.value}")
        if stops := [f"{found.table}.{found.column} {found.says}" for found in shape.stops]:
            raise AdoptionRefused(
                "\n".join(["these columns cannot be adopted; nothing was changed:", *stops])
            )

    async def _programs(self, connection: AsyncConnection) -> Programs | None:
        if self._request.without_backup:
            return None
        try:
            return await find_programs(connection, self._request.pg_dump)
        except BackupFailed as error:
            if not self._request.dry_run:
                raise
            self._tell(f"there could be no backup: {error}")
            return None
        finally:
            await connection.rollback()

    async def _check(self, connection: AsyncConnection, shape: Shape) -> tuple[list[Line], str]:
        loaded = None
        if self._request.sku_map is not None:
            loaded = await sku_map.load(connection, self._request.sku_map, self._findings)
            await connection.commit()
        # One snapshot for every check; it cannot write but into the table of the session.
        await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        revision = await _revision_of(connection, shape)
        rules = [*checks(shape, revision, self._zone.key), *(sku_map.checks() if loaded is not None else ())]
        with self._progress("checking rows", len(rules) + 1) as advance:
            for rule in rules:
                await self._findings.run(connection, rule)
                advance(1)
            counted = await check_documents(
                connection, shape.tables, conversion(self._schema), self._zone, self._findings
            )
            advance(1)
        lines = await self._plan(connection, shape, counted, loaded) if not self._findings.count else []
        await connection.rollback()
        await connection.execution_options(isolation_level="READ COMMITTED", postgresql_readonly=False)
        if self._findings.count:
            raise AdoptionRefused(
                "\n".join(["the data contradicts itself; nothing was changed:", *self._findings.lines()])
            )
        return lines, revision

    async def _plan(
        self, connection: AsyncConnection, shape: Shape, counted: Counted, loaded: int | None
    ) -> list[Line]:
        found = await connection.execute(text(snapshot.totals(shape.tables, self._zone.key)))
        totals = {row.name: row.value for row in found}
        return [line async for line in plan(connection, shape.tables, totals, counted, loaded)]

    async def _begin(
        self, connection: AsyncConnection, shape: Shape, revision: str, programs: Programs | None
    ) -> None:
        backup = None
        if programs is not None:
            with self._progress("backing up", 1) as advance:
                backup = str((await back_up(programs, self._engine.url, self._request.folder)).resolve())
                advance(1)
            self._tell(f"backup: {backup}")
        for attempt in range(TRIES):
            try:
                with_skus = self._request.sku_map is not None
                await prepare.begin(connection, shape, revision, self._zone.key, backup, with_skus=with_skus)
                crash_point("adopt.before_begin")
                await connection.commit()
                break
            except DBAPIError as error:
                await connection.rollback()
                if not may_run_again(error) or attempt == TRIES - 1:
                    raise
                await asyncio.sleep(1)
        crash_point("adopt.after_begin")

    async def _go_on(self, connection: AsyncConnection) -> None:
        entry = await journal.read(connection)
        assert entry is not None
        await connection.rollback()
        self._tell(f"an adoption that began at {entry.begin_time:%Y-%m-%d %H:%M:%S} UTC was cut short")
        self._tell(f"its backup: {entry.backup or 'none'}")
        if self._request.dry_run:
            self._tell("dry run: it would be finished with what was asked for then; nothing was changed")
            return
        self._tell("it is finished now, with what was asked for then")
        await self._finish(connection)

    async def _finish(self, connection: AsyncConnection) -> None:
        entry = await journal.read(connection)
        assert entry is not None
        await connection.rollback()
        way_out = "mend what is named and run migrate adopt again"
        if entry.backup:
            way_out += f", or go back: inventory-service migrate restore {entry.backup} --discard-data"
        try:
            await self._upgrade(entry.revision)
        except Exception as error:
            reason = getattr(error, "orig", None) or error
            raise AdoptionUnfinished(f"the adoption is half done: {reason}\n{way_out}") from error
        crash_point("adopt.after_upgrade")
        totals = await self._verify(connection, entry)
        rows = [
            [name, before, totals.get(name, ""), "" if totals.get(name) == before else "differs"]
            for name, before in entry.totals.items()
        ]
        self._tell("\n" + table_of(["verified", "before", "now", ""], rows))
        differs = self._findings.count or any(row[3] for row in rows)
        if differs and not self._request.accept_differences:
            complaint = ["the end is not what the beginning promised; did somebody write meanwhile?"]
            complaint += [
                *self._findings.lines(),
                f"{way_out}; or take it as it is with --accept-differences",
            ]
            raise AdoptionUnfinished("\n".join(complaint))
        await journal.finish(connection)
        crash_point("adopt.before_finish")
        await connection.commit()
        self._tell(f"adopted: the schema is at {self._schema.expected}")

    async def _upgrade(self, revision: str) -> None:
        applied = await self._schema.applied(self._engine)
        if applied is None and revision != "0001":
            await self._schema.stamp(self._engine, revision)
        pending = self._schema.pending(await self._schema.applied(self._engine))
        with self._progress("upgrading", len(pending)) as advance:
            for step in pending:
                # 0001 makes the split tables that are missing, and leaves all that is there.
                await self._schema.upgrade(self._engine, step.id)
                advance(1)

    async def _verify(self, connection: AsyncConnection, entry: journal.Entry) -> dict[str, str]:
        tables = await tables_of(connection, "inventory")
        with_skus = journal.SKUS.split(".")[1] in tables
        rules = list(snapshot.verification(tables, entry.kept, with_skus=with_skus))
        with self._progress("verifying", len(rules) + 1) as advance:
            for rule in rules:
                await self._findings.run(connection, rule)
                advance(1)
            zone = ZoneInfo(entry.time_zone)
            await verify_documents(connection, tables, conversion(self._schema), zone, self._findings)
            advance(1)
        totals = await snapshot.totals_now(connection)
        await connection.rollback()
        return dict(totals)


async def _revision_of(connection: AsyncConnection, shape: Shape) -> str:
    """0002 where Phase 2 is done and nothing waits in the split tables; else it is begun again, which is harmless."""
    if shape.kind is not Kind.AFTER:
        return "0001"
    for table in SPLIT_TABLES:
        if table in shape.tables:
            any_row = f"SELECT 1 FROM inventory.{table} LIMIT 1"
            if (await connection.execute(text(any_row))).first():
                return "0001"
    return "0002"
