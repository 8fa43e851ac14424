import asyncio
import os
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from devtools import processes
from devtools.databases import create_database
from devtools.engines import choice
from devtools.engines.home import Home
from devtools.engines.server import Server, ServerFailed
from tests.support.engines import CANDIDATES, OWNER, RunEngines, new_home


@pytest.fixture(params=["postgres", "mysql", "mariadb"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    engine = choice.choose(request.param, CANDIDATES[request.param])
    server = Server(engine, Home(new_home()))
    yield server
    server.discard()


async def ask(url: str, statement: str) -> list[tuple[object, ...]]:
    engine = create_async_engine(url)
    try:
        async with engine.begin() as connection:
            result = await connection.execute(text(statement))
            return [tuple(row) for row in result.all()] if result.returns_rows else []
    finally:
        await engine.dispose()


async def test_a_server_keeps_what_was_committed_and_its_url_over_a_crash(server: Server) -> None:
    await asyncio.to_thread(server.start)
    url = server.url("shelf")
    await create_database(url)
    await ask(url, "CREATE TABLE stock (quantity INT)")
    await ask(url, "INSERT INTO stock VALUES (40)")

    await asyncio.to_thread(server.kill)
    assert server.pid is None
    (server.home.sockets / "mysql.sock.lock").write_text(str(os.getppid()))
    await asyncio.to_thread(server.start)

    assert server.url("shelf") == url
    assert await ask(url, "SELECT quantity FROM stock") == [(40,)]
    await asyncio.to_thread(server.stop)
    assert server.pid is None


async def test_a_server_that_is_halted_answers_nobody_until_it_goes_on(server: Server) -> None:
    await asyncio.to_thread(server.start)
    await create_database(server.url("shelf"))
    engine = create_async_engine(server.url("shelf"))
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))
        server.halt()
        asked = asyncio.ensure_future(connection.execute(text("SELECT 2")))
        await asyncio.sleep(0.5)
        answered_by_a_halted_one = asked.done()
        server.resume()
        answer = (await asked).scalar_one()
    await engine.dispose()

    assert (answered_by_a_halted_one, answer) == (False, 2)


def test_a_killed_server_that_nobody_has_collected_is_in_nobodys_way(server: Server) -> None:
    server.start()
    server.stop()
    command = ["sh", "-c", "sleep 0.1 & echo $!; exec sleep 20"]
    account = server.engine.run_user.uid if server.engine.run_user else None
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, user=account) as careless_parent:
        assert careless_parent.stdout is not None
        uncollected = int(careless_parent.stdout.readline())
        while processes.exists(uncollected):
            time.sleep(0.01)
        os.kill(uncollected, 0)
        if server.engine.lock_name:
            (server.home.data / server.engine.lock_name).write_text(f"{uncollected}\n")

        server.start()

        assert server.pid is not None
        careless_parent.kill()


def test_starting_a_server_that_runs_changes_nothing(server: Server) -> None:
    server.start()
    pid = server.pid

    server.start()

    assert pid is not None
    assert server.pid == pid


def test_the_socket_is_private_and_its_path_short_wherever_temporary_files_go(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    far_away = tmp_path / ("x" * 120)
    far_away.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(far_away))

    server.start()

    sockets = server.home.sockets.resolve()
    assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
    assert len(str(sockets)) < 70


def test_a_discarded_server_leaves_nothing(server: Server) -> None:
    server.start()
    sockets, pid = server.home.sockets.resolve(), server.pid

    server.discard()

    assert not Path(f"/proc/{pid}/exe").exists()
    assert not sockets.exists()
    assert not server.home.folder.exists()


def test_a_server_that_does_not_come_up_shows_the_end_of_its_log(server: Server) -> None:
    server.start()
    server.stop()
    for file in server.home.data.glob("ib*"):
        file.write_bytes(b"broken")
    (server.home.data / "PG_VERSION").write_text("broken")

    named = "PG_VERSION" if server.engine.name == "postgres" else "InnoDB"
    with pytest.raises(ServerFailed, match=rf"(?s)did not start.*{named}"):
        server.start()
    assert server.pid is None


def test_a_run_that_was_killed_is_cleared_away_by_the_next(server: Server) -> None:
    server.start()
    pid = server.pid
    processes.Process(os.getpid(), 1).remember(server.home.folder / OWNER)

    engines = RunEngines()
    engines.start()
    engines.discard()

    assert not server.home.folder.exists()
    assert not Path(f"/proc/{pid}/exe").exists()
