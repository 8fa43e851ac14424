import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from holdfast.inventory.v1 import inventory_pb2_grpc, stock_pb2

from devtools.databases import create_database
from devtools.stack.databases import home
from servicekit.health import check
from tests.devtools.checkout import PrivateCheckout

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

    os.kill(running["delivery_service"], signal.SIGKILL)
    succeed(checkout, "up")
    repaired = checkout.pids()
    assert repaired.pop("delivery_service") != running.pop("delivery_service")
    assert repaired == running
    assert await check(checkout.env()["DELIVERY_ADDRESS"])

    succeed(checkout, "down")
    assert checkout.pids() == {}
    succeed(checkout, "up")
    async with grpc.aio.insecure_channel(checkout.env()["INVENTORY_ADDRESS"]) as channel:
        stub = inventory_pb2_grpc.InventoryServiceStub(channel)
        kept = await stub.GetStock(stock_pb2.GetStockRequest(sku="KEPT"), timeout=10)
    assert kept.stock.quantity == 7

    succeed(checkout, "reset")
    assert checkout.pids() == {}
    assert not (checkout.root / ".local").exists()


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


async def test_a_taken_port_is_left_to_whoever_has_it(checkout: PrivateCheckout) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("127.0.0.1", 7411))
            taken.listen()
        except OSError:
            pass  # Somebody else has it already, which serves as well.
        succeed(checkout, "up")

    assert checkout.env()["INVENTORY_ADDRESS"] != "127.0.0.1:7411"
    assert await check(checkout.env()["INVENTORY_ADDRESS"])


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


def test_a_database_that_cannot_be_reached_is_named_and_nothing_is_started(
    checkout: PrivateCheckout,
) -> None:
    nowhere = "postgresql+asyncpg://holdfast@/holdfast_inventory?host=/nowhere"
    neither = "mysql+asyncmy://root@localhost/holdfast_delivery?unix_socket=/nowhere/mysql.sock"

    refused = checkout.run("up", INVENTORY_DATABASE_URL=nowhere, DELIVERY_DATABASE_URL=neither)

    assert refused.returncode == 1
    assert "inventory: the migration failed" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert checkout.pids() == {}


def test_the_demo_keeps_every_promise_and_leaves_nothing_running(checkout: PrivateCheckout) -> None:
    said = succeed(checkout, "demo")

    for words in ("Everything as promised", "Consistency of inventory: clean", "INSUFFICIENT_STOCK"):
        assert words in said
    assert checkout.pids() == {}
    assert not (checkout.root / ".local/demo").exists()
