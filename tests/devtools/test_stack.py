import fcntl
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from holdfast.inventory.v1 import inventory_pb2_grpc, stock_pb2

from devtools.databases import create_database
from devtools.stack import given
from devtools.stack.commands import moved
from devtools.stack.databases import home
from devtools.stack.stack import Addresses
from servicekit.process.health import check
from tests.devtools.checkout import DATABASE_URLS, PrivateCheckout

SYSTEM = (("actor-role", "system"), ("actor-id", "tests"))


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[PrivateCheckout]:
    checkout = PrivateCheckout(tmp_path)
    yield checkout
    checkout.run("reset")


def succeed(checkout: PrivateCheckout, *arguments: str, **variables: str) -> str:
    done = checkout.run(*arguments, **variables)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


async def test_a_stack_in_a_private_folder_comes_up_repairs_itself_and_keeps_its_data(
    checkout: PrivateCheckout,
) -> None:
    said = succeed(checkout, "up")
    first, running = checkout.env(), checkout.pids()
    assert said.count("grpcurl") == 3
    for name in ("INVENTORY_ADDRESS", "DELIVERY_ADDRESS"):
        assert first[name] in said
        assert await check(first[name])
    async with grpc.aio.insecure_channel(first["INVENTORY_ADDRESS"]) as channel:
        await inventory_pb2_grpc.InventoryServiceStub(channel).CreateStock(
            stock_pb2.CreateStockRequest(sku="KEPT", quantity=7), metadata=SYSTEM, timeout=10
        )

    succeed(checkout, "up")
    assert (checkout.env(), checkout.pids()) == (first, running)
    sourced = {name: first[name] for name in DATABASE_URLS}

    os.kill(running["delivery_service"], signal.SIGKILL)
    succeed(checkout, "up")
    repaired = checkout.pids()
    assert repaired.pop("delivery_service") != running.pop("delivery_service")
    assert repaired == running
    assert await check(checkout.env()["DELIVERY_ADDRESS"])

    assert "stopped" in succeed(checkout, "down", **sourced)
    assert checkout.pids() == {}
    assert "nothing was running" in succeed(checkout, "down")
    assert "neither service runs" in succeed(checkout, "logs")
    succeed(checkout, "up", **sourced)
    assert checkout.pids().keys() == running.keys() | {"delivery_service"}
    async with grpc.aio.insecure_channel(checkout.env()["INVENTORY_ADDRESS"]) as channel:
        stub = inventory_pb2_grpc.InventoryServiceStub(channel)
        kept = await stub.GetStock(stock_pb2.GetStockRequest(sku="KEPT"), timeout=10)
    assert kept.stock.quantity == 7

    succeed(checkout, "reset")
    assert checkout.pids() == {}
    assert not (checkout.root / ".local").exists()
    forgotten = checkout.run("up", **sourced)
    assert forgotten.returncode == 1
    assert "INVENTORY_DATABASE_URL names the socket" in forgotten.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to run Postgres as somebody else")
def test_as_root_postgres_lives_outside_the_private_checkout_as_another_user(
    checkout: PrivateCheckout,
) -> None:
    outside = home(checkout.root / ".local", "postgres")

    succeed(checkout, "up")

    assert not outside.folder.is_relative_to(checkout.root)
    assert outside.data.stat().st_uid != 0
    assert not (checkout.root / ".local/postgres").exists()
    socket_folder = checkout.env()["INVENTORY_DATABASE_URL"].rpartition("host=")[2]
    assert Path(socket_folder).stat().st_uid == outside.data.stat().st_uid

    succeed(checkout, "reset")
    assert not outside.folder.parent.exists()


async def test_two_at_once_share_one_stack_and_the_second_says_that_it_waits(
    checkout: PrivateCheckout, postgres_url: str, mariadb_url: str
) -> None:
    given = {"INVENTORY_DATABASE_URL": postgres_url, "DELIVERY_DATABASE_URL": mariadb_url}
    ups = [checkout.begin("up", **given) for _ in range(2)]
    said = [up.communicate(timeout=300) for up in ups]

    assert [up.returncode for up in ups] == [0, 0], said
    waits = [out for out, _ in said if out.startswith("  another command changes this stack: waiting")]
    assert len(waits) == 1
    assert "starting" not in waits[0]
    assert checkout.pids().keys() == {"inventory_service", "delivery_service"}
    assert await check(checkout.env()["DELIVERY_ADDRESS"])


def test_a_stack_comes_up_to_its_end_when_nobody_reads_what_it_says(
    checkout: PrivateCheckout, postgres_url: str, mariadb_url: str
) -> None:
    up = checkout.begin("up", INVENTORY_DATABASE_URL=postgres_url, DELIVERY_DATABASE_URL=mariadb_url)
    assert up.stdout is not None
    assert up.stderr is not None
    up.stdout.readline()
    up.stdout.close()

    complaints = up.stderr.read()

    assert (up.wait(), complaints) == (0, "")
    assert checkout.env().keys() >= {"INVENTORY_ADDRESS", "DELIVERY_ADDRESS"}


async def test_databases_that_the_environment_names_are_used_and_not_stopped(
    checkout: PrivateCheckout, postgres_url: str, mariadb_url: str
) -> None:
    given = {"INVENTORY_DATABASE_URL": postgres_url, "DELIVERY_DATABASE_URL": mariadb_url}

    said = succeed(checkout, "up", **given)

    assert "inventory: the database that INVENTORY_DATABASE_URL names" in said
    assert given.items() <= checkout.env().items()
    assert set(checkout.pids()) == {"inventory_service", "delivery_service"}
    succeed(checkout, "down", **given)
    assert checkout.pids() == {}
    for url in given.values():
        await create_database(url)


@pytest.mark.parametrize(
    ("variable", "url", "socket"),
    [
        ("INVENTORY_DATABASE_URL", "postgresql+asyncpg://me@/it?host=/nowhere", "/nowhere/.s.PGSQL.5432"),
        ("DELIVERY_DATABASE_URL", "mysql+asyncmy://me@localhost/it?unix_socket=/nowhere/it", "/nowhere/it"),
    ],
)
def test_a_socket_that_is_not_there_is_named_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, variable: str, url: str, socket: str
) -> None:
    monkeypatch.setenv(variable, url)

    with pytest.raises(given.GivenDatabaseMissing) as refusal:
        given.url(variable, [])

    assert str(refusal.value).startswith(f"{variable} names the socket {socket}, which does not exist")


def test_a_port_that_is_somebody_elses_is_named_with_what_to_do() -> None:
    assert moved(Addresses("127.0.0.1:7411", "127.0.0.1:7412")) == []
    assert moved(Addresses("127.0.0.1:40411", "127.0.0.1:7412")) == [
        "7411 is somebody else's now: `source .local/env` again in shells that are open"
    ]


def test_a_database_that_cannot_be_reached_is_named_and_nothing_is_started(
    checkout: PrivateCheckout,
) -> None:
    nowhere = "postgresql+asyncpg://holdfast@127.0.0.1:1/holdfast_inventory"
    neither = "mysql+asyncmy://root@127.0.0.1:1/holdfast_delivery"

    refused = checkout.run("up", INVENTORY_DATABASE_URL=nowhere, DELIVERY_DATABASE_URL=neither)

    assert refused.returncode == 1
    assert "inventory: the migration failed" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert checkout.pids() == {}


def test_the_demo_keeps_every_promise_and_leaves_nothing_running(checkout: PrivateCheckout) -> None:
    with (checkout.root / "devtools/demo/play.py").open() as stage:
        fcntl.flock(stage, fcntl.LOCK_EX)
        second = checkout.run("demo")
    assert (second.returncode, second.stdout) == (1, "")
    assert second.stderr.startswith("a demo of this checkout runs already")

    said = succeed(checkout, "demo")

    assert not [line for line in said.splitlines() if line != line.rstrip() or len(line) > 80]
    for words in ("Everything as promised", "Consistency of inventory: clean", "INSUFFICIENT_STOCK"):
        assert words in said
    assert checkout.pids() == {}
    assert not (checkout.root / ".local/demo").exists()
