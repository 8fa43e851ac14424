"""The examples, run as a user would run them: with the wheel and its own dependencies, against real services."""

import asyncio
import json
import os
import subprocess
from pathlib import Path

import pytest
from holdfast.inventory.v1 import reservation_pb2

from devtools.journey import photo
from tests.support.forks import ROOT
from tests.support.services import Pair
from tests.support.town import Town
from tests.support.wheel import build_wheel, install_alone

pytestmark = pytest.mark.parametrize("pair", ["mysql"], indirect=True)

INSTALLED = "import importlib.metadata as m, json; print(json.dumps([d.name for d in m.distributions()]))"


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a user's own environment."""
    folder = tmp_path_factory.mktemp("user")
    return install_alone(build_wheel(folder), folder / "venv")


async def run(python: Path, pair: Pair, *words: str) -> tuple[int, list[str]]:
    """The exit code and the lines of an example."""
    addresses = {"INVENTORY_ADDRESS": pair.inventory.address, "DELIVERY_ADDRESS": pair.delivery.address}
    # -I: neither this checkout nor what the tests' environment names is to be found.
    process = await asyncio.create_subprocess_exec(
        *(str(python), "-I", str(ROOT / "examples" / words[0]), *words[1:]),
        env={"PATH": os.environ["PATH"], **addresses},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode or 0, output.decode().splitlines()


def test_a_client_gets_nothing_that_only_a_server_needs(python: Path, pair: Pair) -> None:
    listed = subprocess.run([python, "-I", "-c", INSTALLED], capture_output=True, text=True, check=True)

    assert sorted(json.loads(listed.stdout)) == [
        "googleapis-common-protos",
        "grpcio",
        "grpcio-status",
        "holdfast",
        "protobuf",
        "typing_extensions",
    ]


@pytest.mark.parametrize("service", ["inventory-service", "delivery-service"])
def test_a_service_that_a_client_starts_says_what_to_install(python: Path, pair: Pair, service: str) -> None:
    started = subprocess.run([python.parent / service, "serve"], capture_output=True, text=True, env={})

    assert started.returncode == 1
    assert started.stderr == (
        f"{service} needs what holdfast[server] installs: No module named 'sqlalchemy'\n"
    )


async def test_two_units_are_sold_without_asyncio(python: Path, pair: Pair, town: Town) -> None:
    sku = await town.stock(3)

    code, said = await run(python, pair, "sell.py", sku)

    assert code == 0, said
    assert said[0].startswith(f"2 of {sku} are held until 20")
    assert said[1:] == ["RESERVATION_STATE_COMMITTED"]
    assert await town.levels(sku) == (1, 0)


async def test_a_sale_of_more_than_there_is_names_what_is_short(python: Path, pair: Pair, town: Town) -> None:
    sku = await town.stock(1)

    assert await run(python, pair, "sell.py", sku) == (1, [f"{sku}: 2 wanted, 1 there"])
    held = await town.inventory.ListReservations(
        reservation_pb2.ListReservationsRequest(holder="example-shop", sku=sku), timeout=10
    )
    assert list(held.reservations) == []


async def test_a_package_is_proved_by_a_photo_with_asyncio(
    python: Path, pair: Pair, town: Town, tmp_path: Path
) -> None:
    order_id = await town.order({await town.stock(3): 2})
    picture = tmp_path / "shelf.jpg"
    picture.write_bytes(photo("shelf"))

    code, said = await run(python, pair, "prepare_package.py", order_id, town.parties.shop_id, str(picture))

    assert (code, said) == (
        0,
        [
            "STOCK_STATE_HELD",
            "refused: PREPARE needs a photo of kind PREPARATION",
            "PACKAGE_STATE_PREPARED",
        ],
    )
