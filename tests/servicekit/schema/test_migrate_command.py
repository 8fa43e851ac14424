import argparse
import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from structlog.testing import capture_logs

from servicekit.schema import migrate_command
from servicekit.schema.migrations import Schema
from tests.servicekit.scripts import write_history

Command = Callable[..., Awaitable[tuple[int, str, str]]]


def name_a_table(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("table")


async def count(arguments: argparse.Namespace, schema: Schema, engine: AsyncEngine) -> int:
    if arguments.table == "nothing":
        raise LookupError("there is no table nothing")
    async with engine.connect() as connection:
        one = (await connection.execute(text("SELECT 1"))).scalar_one()
    print(f"{schema.service} {arguments.table} {one}")
    return 5


COUNT = migrate_command.Action("count", "count rows", name_a_table, count)


@pytest.fixture
async def migrate(
    empty_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> AsyncIterator[Command]:
    """Runs `migrate` with arguments as a process would; answers exit code, output and errors."""
    parser = argparse.ArgumentParser()
    migrate_command.add_parser(parser.add_subparsers(), [COUNT])
    schema = Schema("shop", write_history(tmp_path / "shop"))

    async def run(*words: str, at: str = empty_url, of: Schema = schema) -> tuple[int, str, str]:
        capsys.readouterr()
        arguments = parser.parse_args(["migrate", *words])
        with capture_logs():
            code = await asyncio.to_thread(migrate_command.run, arguments, of, at)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    yield run


async def test_status_plan_and_upgrade_tell_the_way_of_a_schema(migrate: Command) -> None:
    assert await migrate("status") == (3, "applied: nothing\nexpected: 0003\npending: 3\n", "")
    assert await migrate("upgrade", "0001") == (0, "shop: schema at 0001, was nothing\n", "")
    assert await migrate("plan") == (0, "0002  Add room 2.\n0003  Add room 3.\n", "")
    assert await migrate("upgrade") == (0, "shop: schema at 0003, was 0001\n", "")
    assert await migrate("plan") == (0, "", "")
    assert await migrate("status") == (0, "applied: 0003\nexpected: 0003\npending: 0\n", "")
    refused, _, why = await migrate("downgrade", "base")
    assert (refused, await migrate("status")) == (1, (0, "applied: 0003\nexpected: 0003\npending: 0\n", ""))
    assert "--discard-data" in why
    assert await migrate("downgrade", "base", "--discard-data") == (
        0,
        "shop: schema at nothing, was 0003\n",
        "",
    )


async def test_an_action_that_a_service_adds_gets_its_arguments_and_the_database(migrate: Command) -> None:
    assert await migrate("count", "shelves") == (5, "shop shelves 1\n", "")
    assert await migrate("count", "nothing") == (
        1,
        "",
        "migrate count failed: there is no table nothing\n",
    )


async def test_an_unknown_revision_is_answered_with_those_that_exist(migrate: Command) -> None:
    assert await migrate("upgrade", "9999") == (1, "", "no revision 9999; there are: 0001, 0002, 0003\n")


async def test_a_schema_of_a_newer_build_is_said_to_be_so(migrate: Command, tmp_path: Path) -> None:
    newer = Schema("shop", write_history(tmp_path / "newer", revisions=4))
    await migrate("upgrade", of=newer)

    ahead = (
        "ahead: the schema is at 0004, ahead of this build, which is of 0003; builds since 0001 may serve it;"
        " deploy the build whose schema is 0004"
    )
    stands = f"applied: 0004\nexpected: 0003\npending: 0\n{ahead}\n"
    assert await migrate("status") == (3, stands, "")
    code, _, complaint = await migrate("upgrade")
    assert (code, complaint.count("\n")) == (1, 1)
    assert "0004, which this build does not know" in complaint


async def test_a_schema_that_something_hinders_is_not_moved_and_says_so(
    migrate: Command, tmp_path: Path
) -> None:
    async def hindrance(_connection: AsyncConnection) -> str:
        return "adopt it first"

    hindered = Schema("shop", tmp_path / "shop", hindrance)
    await migrate("upgrade", "0002")
    for words in (("upgrade",), ("plan",), ("downgrade", "base", "--discard-data")):
        assert await migrate(*words, of=hindered) == (1, "", "adopt it first\n")

    stands = "applied: 0002\nexpected: 0003\npending: 1\n"
    assert await migrate("status", of=hindered) == (3, f"{stands}hindered: adopt it first\n", "")
    assert await migrate("status") == (3, stands, "")
    await migrate("upgrade")
    assert (await migrate("status", of=hindered))[0] == 3


async def test_a_revision_that_stops_is_told_in_one_line(migrate: Command, tmp_path: Path) -> None:
    stop = "raise LookupError('row 7 contradicts row 8')"
    stopping = Schema("shop", write_history(tmp_path / "stopping", last=stop))

    assert await migrate("upgrade", of=stopping) == (
        1,
        "",
        "migrate upgrade failed: row 7 contradicts row 8\n",
    )


@pytest.mark.parametrize("engine_name", ["postgres"], indirect=True)
@pytest.mark.parametrize(
    "url",
    [
        "postgresql+asyncpg://shop:canary@127.0.0.1:9/shop",
        "postgresql+asyncpg://shop:canary@/shop?host=/no/such/folder",
        "mysql+asyncmy://shop:canary@127.0.0.1:9/shop",
        "mysql+asyncmy://shop:canary@/shop?unix_socket=/no/such/folder/socket",
    ],
)
@pytest.mark.parametrize("words", [["status"], ["count", "shelves"]])
async def test_a_database_that_is_away_is_said_to_be_so_in_one_line_without_its_password(
    migrate: Command, url: str, words: list[str]
) -> None:
    code, printed, complaint = await migrate(*words, at=url)

    assert (code, printed) == (1, "")
    assert complaint.startswith(f"migrate {words[0]} failed: the database cannot be reached: ")
    assert complaint.count("\n") == 1
    assert "canary" not in complaint
