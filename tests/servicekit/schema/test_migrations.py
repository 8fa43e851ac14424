import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from alembic.script.revision import RangeNotAncestorError
from sqlalchemy import event, inspect, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from servicekit.persistence.engines import create_engine
from servicekit.schema import migrations
from servicekit.schema.migrations import MigrationLocked, Revision, Schema, SchemaAhead, UnknownRevision
from servicekit.schema.schema_history import HISTORY_TABLE
from tests.servicekit.scripts import write_history
from tests.servicekit.waiting import until

ROOT = Path(__file__).parents[3]
UPGRADE = """
import asyncio, sys
from pathlib import Path
from servicekit.persistence.engines import create_engine
from servicekit.schema.migrations import Schema

asyncio.run(Schema("shop", Path(sys.argv[1])).upgrade(create_engine(sys.argv[2], for_migrations=True)))
"""


@pytest.fixture
async def engine(empty_url: str) -> AsyncIterator[AsyncEngine]:
    """The engine as migrations use it, upon an empty database."""
    engine = create_engine(empty_url, for_migrations=True)
    yield engine
    await engine.dispose()


@pytest.fixture
def schema(tmp_path: Path) -> Schema:
    """A history of three revisions."""
    return Schema("shop", write_history(tmp_path / "shop"))


async def rooms(engine: AsyncEngine) -> dict[str, int]:
    """The rows of each room that is there."""
    async with engine.connect() as connection:
        names = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
        found = {}
        for name in sorted(names):
            if name.startswith("room_"):
                query = text(f"SELECT COUNT(*) FROM {name}")  # noqa: S608
                found[name] = (await connection.execute(query)).scalar_one()
    return found


async def test_looking_at_the_schema_again_compiles_nothing(schema: Schema, engine: AsyncEngine) -> None:
    await schema.upgrade(engine)
    compiled: dict[Any, Any] = {}
    looking = engine.execution_options(compiled_cache=compiled)
    await schema.serving(looking)
    first = len(compiled)

    for _ in range(3):
        await schema.serving(looking)

    assert first > 0
    assert len(compiled) == first


def test_a_history_tells_its_revisions_oldest_first(schema: Schema) -> None:
    assert schema.history() == [Revision(f"{number:04}", f"Add room {number}.") for number in (1, 2, 3)]
    assert schema.expected == "0003"
    assert [revision.id for revision in schema.pending("0001")] == ["0002", "0003"]
    assert [revision.id for revision in schema.pending(None)] == ["0001", "0002", "0003"]
    assert schema.pending("0003") == []


async def test_an_empty_database_is_brought_to_the_newest_revision_and_back(
    schema: Schema, engine: AsyncEngine
) -> None:
    assert await schema.applied(engine) is None

    await schema.upgrade(engine)
    assert await schema.applied(engine) == "0003"
    assert await rooms(engine) == {"room_1": 1, "room_2": 1, "room_3": 1}

    await schema.upgrade(engine)
    await schema.downgrade(engine, "0001")
    assert await schema.applied(engine) == "0001"
    assert await rooms(engine) == {"room_1": 1}

    await schema.upgrade(engine, "0002")
    assert await rooms(engine) == {"room_1": 1, "room_2": 1}
    await schema.downgrade(engine, "base")
    assert await schema.applied(engine) is None
    assert await rooms(engine) == {}


async def test_a_revision_that_refuses_the_way_back_is_asked_before_any_is_taken_back(
    schema: Schema, engine: AsyncEngine, tmp_path: Path
) -> None:
    await schema.upgrade(engine)
    with (tmp_path / "shop/versions/0002_add_room.py").open("a") as script:
        script.write("\n\ndef refuse_downgrade():\n    raise LookupError('room 2 is let')\n")
    let = Schema("shop", tmp_path / "shop")

    with pytest.raises(LookupError, match="room 2 is let"):
        await let.downgrade(engine, "base")
    assert await rooms(engine) == {"room_1": 1, "room_2": 1, "room_3": 1}

    await let.downgrade(engine, "0002")
    assert await let.applied(engine) == "0002"


async def test_a_way_back_that_leads_nowhere_changes_nothing(schema: Schema, engine: AsyncEngine) -> None:
    await schema.downgrade(engine, "base")
    await schema.upgrade(engine, "0001")
    await schema.downgrade(engine, "0001")
    with pytest.raises(RangeNotAncestorError):
        await schema.downgrade(engine, "0002")

    assert await schema.applied(engine) == "0001"


async def test_an_unknown_revision_is_refused_and_changes_nothing(
    schema: Schema, engine: AsyncEngine
) -> None:
    for move in (schema.upgrade, schema.downgrade):
        with pytest.raises(UnknownRevision):
            await move(engine, "0004")

    assert await rooms(engine) == {}


async def test_a_schema_of_a_newer_build_is_left_alone(
    schema: Schema, engine: AsyncEngine, tmp_path: Path
) -> None:
    newer = Schema("shop", write_history(tmp_path / "newer", revisions=4))
    await newer.upgrade(engine)

    assert schema.pending(await schema.applied(engine)) == []
    with pytest.raises(SchemaAhead, match=r"0004.*0003"):
        await schema.upgrade(engine)
    with pytest.raises(SchemaAhead):
        await schema.downgrade(engine, "base")

    assert len(await rooms(engine)) == 4


async def test_two_upgrades_at_once_apply_each_revision_once(
    schema: Schema, engine: AsyncEngine, empty_url: str, tmp_path: Path
) -> None:
    other_engine = create_engine(empty_url, for_migrations=True)
    other = Schema("shop", tmp_path / "shop")

    with capture_logs() as logs:
        await asyncio.gather(schema.upgrade(engine), other.upgrade(other_engine))
    await other_engine.dispose()

    events = [entry["event"] for entry in logs]
    assert events.count("another migration is running, waiting for it") == 1
    assert events.count("revision applied") == 3
    assert await rooms(engine) == {"room_1": 1, "room_2": 1, "room_3": 1}


async def test_an_upgrade_that_comes_while_the_first_one_begins_asks_nothing_of_what_that_one_makes(
    schema: Schema, engine: AsyncEngine
) -> None:
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        sent.append(statement)

    event.listen(engine.sync_engine, "before_cursor_execute", note)

    assert (await schema.serving(engine)).applied is None
    assert not [statement for statement in sent if HISTORY_TABLE in statement]


async def test_a_lock_that_is_never_given_back_is_waited_for_only_so_long(
    schema: Schema, engine: AsyncEngine, empty_url: str, engine_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "LOCK_WAIT_SECONDS", 0.3)
    take = (
        "SELECT pg_advisory_lock(hashtext('holdfast.shop.migrate'))"
        if engine_name == "postgres"
        else "SELECT GET_LOCK(CONCAT('holdfast.shop.migrate', '.', LEFT(SHA2(DATABASE(), 256), 32)), 5)"
    )
    holder = create_engine(empty_url)
    async with holder.connect() as connection:
        await connection.execute(text(take))
        with pytest.raises(MigrationLocked, match="shop"):
            await schema.upgrade(engine)
    await holder.dispose()

    assert await rooms(engine) == {}
    await schema.upgrade(engine)
    assert await schema.applied(engine) == "0003"


async def test_a_failing_revision_gives_the_lock_back_and_keeps_what_was_applied_before(
    engine: AsyncEngine, tmp_path: Path
) -> None:
    broken = Schema(
        "shop", write_history(tmp_path / "broken", last="connection.execute(sa.text('SELECT nothing'))")
    )

    with pytest.raises(DBAPIError):
        await broken.upgrade(engine)
    assert await broken.applied(engine) == "0002"

    await asyncio.wait_for(Schema("shop", write_history(tmp_path / "mended")).upgrade(engine), 5)
    assert await rooms(engine) == {"room_1": 1, "room_2": 1, "room_3": 1}


async def test_a_busy_table_is_waited_for_in_short_turns(
    schema: Schema, engine: AsyncEngine, tmp_path: Path, engine_name: str
) -> None:
    if engine_name == "mysql":
        wait = "connection.execute(sa.text('SET SESSION lock_wait_timeout = 1'))"
    elif engine_name == "mariadb":
        wait = (
            "connection.execute(sa.text('SET SESSION lock_wait_timeout = 1, innodb_lock_wait_timeout = 1'))"
        )
    else:
        wait = "connection.execute(sa.text(\"SET LOCAL lock_timeout = '200ms'\"))"
    await schema.upgrade(engine)
    alter = "connection.execute(sa.text('ALTER TABLE room_1 ADD COLUMN door INTEGER'))"
    busy = Schema("shop", write_history(tmp_path / "busy", revisions=4, last=f"{wait}\n    {alter}"))

    with capture_logs() as logs:
        async with engine.connect() as reader:
            await reader.execute(text("SELECT * FROM room_1"))
            upgrading = asyncio.create_task(busy.upgrade(engine))
            await until(lambda: _busy(logs), seconds=8)
            await reader.rollback()
        await upgrading

    assert _busy(logs)
    assert await busy.applied(engine) == "0004"


def _busy(logs: Sequence[Mapping[str, object]]) -> bool:
    return "table is busy, trying again" in [entry["event"] for entry in logs]


async def test_a_process_killed_at_any_point_leaves_a_schema_that_the_next_one_completes(
    schema: Schema, engine: AsyncEngine, empty_url: str, tmp_path: Path
) -> None:
    points = (
        "migrate.after_lock",
        "migrate.between_steps:6",
        "migrate.before_version",
        "migrate.before_version:2",
    )
    for point in points:
        environment = os.environ | {"HOLDFAST_CRASH_AT": point}
        command = [sys.executable, "-c", UPGRADE, str(tmp_path / "shop"), empty_url]
        died = await asyncio.to_thread(
            subprocess.run, command, env=environment, cwd=ROOT, capture_output=True
        )
        assert (point, died.returncode) == (point, 137)

    assert await schema.applied(engine) == "0001"
    await schema.upgrade(engine)
    assert await schema.applied(engine) == "0003"
    assert await rooms(engine) == {"room_1": 1, "room_2": 1, "room_3": 1}
