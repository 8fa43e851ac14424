"""Migrations of one service: what is applied, what is expected, and bringing the two together.

Revisions live in `migrations/<service>` of the checkout and travel inside the service's package in the wheel.
Servers never migrate by themselves.
"""

import asyncio
import io
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import Script, ScriptDirectory
from sqlalchemy import Column, Connection, MetaData, String, Table, event, inspect, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from servicekit.crash_points import crash_point
from servicekit.persistence.conflicts import may_run_again
from servicekit.persistence.named_locks import give_lock, take_lock
from servicekit.schema import schema_history
from servicekit.schema.hindrances import Hindered, Hindrance, nothing_hinders
from servicekit.schema.serving import Serving

VERSION_TABLE = "holdfast_schema_version"
LOCK_WAIT_SECONDS = 300
TRIES = 30

_version = Table(VERSION_TABLE, MetaData(), Column("version_num", String(32)))
"""As Alembic makes it."""

Progress = Callable[[str, int | None], AbstractContextManager[Callable[[int], None]]]
"""Given a title and how much there is to do; gives a function that is told how much more is done."""

log = structlog.get_logger("migrations")


class MigrationLocked(Exception):
    """Another migration held the lock all the time that this one was ready to wait."""


class UnknownRevision(Exception):
    """The revision asked for does not exist."""


class SchemaAhead(Exception):
    """The database has a revision that this build does not know: a newer build migrated it."""


@dataclass(frozen=True)
class Revision:
    """One step of the schema's history."""

    id: str
    description: str


class Schema:
    """The history of one service's schema."""

    def __init__(
        self, service: str, scripts: Path | None = None, hindrance: Hindrance = nothing_hinders
    ) -> None:
        """`scripts` is the folder of the revisions, by default the service's own; `hindrance` is asked at each move."""
        self.service = service
        self._hindrance = hindrance
        self._config = Config()
        self.location: Path = scripts or _location(service)
        """The folder of the revisions, and of what belongs to them."""
        self._config.set_main_option("script_location", str(self.location))
        self._scripts = ScriptDirectory.from_config(self._config)
        self.expected: str = self._scripts.get_current_head() or ""
        """The revision this build expects."""

    def history(self) -> list[Revision]:
        """All revisions, oldest first."""
        scripts = reversed(list(self._scripts.walk_revisions()))
        return [Revision(script.revision, (script.doc or "").splitlines()[0]) for script in scripts]

    def pending(self, applied: str | None) -> list[Revision]:
        """What an upgrade would apply: nothing where `applied` is of a newer build."""
        history = self.history()
        if applied is None:
            return history
        known = [revision.id for revision in history]
        return history[known.index(applied) + 1 :] if applied in known else []

    async def applied(self, engine: AsyncEngine) -> str | None:
        """The revision found in the database, None if it was never migrated."""
        async with engine.connect() as connection:
            return await connection.run_sync(applied_revision)

    async def serving(self, engine: AsyncEngine) -> Serving:
        """Whether this build may serve the schema as it is."""
        async with engine.connect() as connection:
            applied = await connection.run_sync(applied_revision)
            known = applied in {revision.id for revision in self.history()}
            newer = applied is not None and not known
            # Nothing is asked of a record that another process may be making just now: MySQL would refuse.
            since = await connection.run_sync(schema_history.serves_since) if newer else None
        return Serving(self.service, applied, self.expected, known, since)

    async def hindrance(self, engine: AsyncEngine) -> str:
        """Why this database may neither be moved nor served, whatever its revision; nothing where it may."""
        async with engine.connect() as connection:
            return await self._hindrance(connection)

    async def refuse_if_hindered(self, connection: AsyncConnection) -> None:
        """Raises Hindered where this database may not be moved; for whoever changes it past the revisions."""
        if reason := await self._hindrance(connection):
            raise Hindered(reason)

    async def upgrade(
        self, engine: AsyncEngine, target: str = "head", progress: Progress | None = None
    ) -> None:
        """Applies what is pending, one transaction a revision. Safe when several run at once, and to run again.

        A revision that takes long shows `progress`. Raises MigrationLocked, UnknownRevision, SchemaAhead, Hindered,
        and the error that a revision ended with.
        """
        self._config.attributes["progress"] = progress or _unseen
        await self._move(engine, command.upgrade, self._known(target))

    async def downgrade(self, engine: AsyncEngine, target: str) -> None:
        """Takes revisions back until `target` (a revision, or "base") is the applied one. Raises as upgrade does.

        Each revision on the way is asked by its `refuse_downgrade`, where it has one, before the first is taken back.
        """
        await self._move(engine, self._take_back, self._known(target))

    async def stamp(self, engine: AsyncEngine, revision: str) -> None:
        """Records that the database is at a revision, applying none. Raises as upgrade does."""
        await self._move(engine, command.stamp, self._known(revision))

    def documentation(self, revision: str) -> str:
        """What a revision says of itself."""
        return self._script(revision).longdoc

    def serves_since(self, revision: str) -> str:
        """The oldest revision whose builds may go on beside one: itself, where it states none."""
        return _serves_since(self._script(revision))

    def render(self, revision: str, *, back: bool = False) -> str:
        """One revision as plain SQL, without its version. Raises what the revision does where it has none."""
        written = io.StringIO()
        context = MigrationContext.configure(
            dialect_name="mysql", opts={"as_sql": True, "output_buffer": written}
        )
        module = self._script(revision).module
        with Operations.context(context):
            module.downgrade() if back else module.upgrade()
        return written.getvalue()

    def _script(self, revision: str) -> Script:
        script = self._scripts.get_revision(revision)
        assert script is not None
        return script

    def _known(self, target: str) -> str:
        if target not in ("head", "base") and target not in {revision.id for revision in self.history()}:
            raise UnknownRevision(target)
        return target

    async def _move(self, engine: AsyncEngine, move: Callable[[Config, str], None], target: str) -> None:
        async with self.locked(engine), engine.connect() as worker:
            crash_point("migrate.after_lock")
            await self._refuse_if_ahead(worker)
            await self.refuse_if_hindered(worker)
            await worker.rollback()
            for attempt in range(TRIES):
                try:
                    with _interruption_told():
                        await worker.run_sync(self._run, move, target)
                    return
                except DBAPIError as error:
                    await worker.rollback()
                    # A busy table is waited for in short turns, so that the queue behind it can move on.
                    if not may_run_again(error) or attempt == TRIES - 1:
                        raise
                    log.info("table is busy, trying again", attempt=attempt + 1)
                    await asyncio.sleep(min(0.2 * 2**attempt, 5))

    @asynccontextmanager
    async def locked(self, engine: AsyncEngine) -> AsyncIterator[None]:
        """Keeps every other change of this schema out meanwhile; it takes a connection of its own.

        Raises MigrationLocked.
        """
        async with engine.connect() as guard:
            await guard.execution_options(isolation_level="AUTOCOMMIT")
            await self._lock(guard)
            try:
                yield
            finally:
                await give_lock(guard, self._lock_name)

    async def _refuse_if_ahead(self, worker: AsyncConnection) -> None:
        applied = await worker.run_sync(applied_revision)
        await worker.rollback()
        if applied is not None and applied not in {revision.id for revision in self.history()}:
            raise SchemaAhead(
                f"the schema is at {applied}, which this build does not know; its newest is {self.expected}"
            )

    def _run(self, connection: Connection, move: Callable[[Config, str], None], target: str) -> None:
        schema_history.prepare(connection, applied_revision(connection))
        self._config.attributes["connection"] = connection
        with _crash_points(connection):
            move(self._config, target)

    def _take_back(self, config: Config, target: str) -> None:
        connection: Connection = config.attributes["connection"]
        applied = applied_revision(connection)
        with Operations.context(MigrationContext.configure(connection)):
            for script in self._scripts.iterate_revisions(applied or "base", target):
                if refuse := getattr(script.module, "refuse_downgrade", None):
                    refuse()
        # Alembic gives each revision its transaction only where none has begun.
        connection.rollback()
        command.downgrade(config, target)

    async def _lock(self, guard: AsyncConnection) -> None:
        """Takes the lock by asking again and again: a waiting lock statement would block CONCURRENTLY."""
        until = time.monotonic() + LOCK_WAIT_SECONDS
        told = False
        while not await take_lock(guard, self._lock_name):
            if not told:
                log.info("another migration is running, waiting for it")
                told = True
            if time.monotonic() > until:
                raise MigrationLocked(
                    f"another migration of {self.service} held its lock for {LOCK_WAIT_SECONDS} s"
                )
            await asyncio.sleep(0.2)

    @property
    def _lock_name(self) -> str:
        return f"holdfast.{self.service}.migrate"


def run_in_env(config: Any, context: Any) -> None:
    """The body of both env.py: runs the revisions on the connection that Schema gave."""
    connection: Connection = config.attributes["connection"]
    context.configure(
        connection=connection,
        version_table=VERSION_TABLE,
        transaction_per_migration=True,
        on_version_apply=_tell,
    )
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()


@contextmanager
def _interruption_told() -> Iterator[None]:
    """Ends as interrupted what was: the connection's complaint of it would hide why."""
    try:
        yield
    except Exception as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise asyncio.CancelledError from error
        raise


@contextmanager
def _unseen(_title: str, _total: int | None) -> Iterator[Callable[[int], None]]:
    yield lambda done: None


def _tell(*, ctx: Any, step: Any, **_: Any) -> None:
    direction = "applied" if step.is_upgrade else "taken back"
    schema_history.record(ctx.connection, "stamped" if step.is_stamp else direction, step.up_revision_id)
    if step.is_upgrade:
        schema_history.serve_since(ctx.connection, _serves_since(step.up_revision))
    log.info(f"revision {direction}", revision=step.up_revision_id, description=step.up_revision.doc)


def _serves_since(script: Script) -> str:
    since: str = getattr(script.module, "serves_since", script.revision)
    return since


def applied_revision(connection: Connection) -> str | None:
    """The revision found in the database, None if it was never migrated."""
    # Servers look every second. Alembic's own look asks of a table made anew each time: a statement never seen
    # before, which the engine compiles and keeps.
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found: str | None = connection.execute(select(_version.c.version_num)).scalar_one_or_none()
    return found


def _location(service: str) -> Path:
    root = Path(__file__).resolve().parents[2]
    in_wheel = root / f"{service}_service" / "migrations"
    return in_wheel if in_wheel.is_dir() else root / "migrations" / service


@contextmanager
def _crash_points(connection: Connection) -> Iterator[None]:
    def before(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if VERSION_TABLE in statement and statement.lstrip().upper().startswith(
            ("INSERT", "UPDATE", "DELETE")
        ):
            crash_point("migrate.before_version")
        crash_point("migrate.between_steps")

    event.listen(connection, "before_cursor_execute", before)
    try:
        yield
    finally:
        event.remove(connection, "before_cursor_execute", before)
