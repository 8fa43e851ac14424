"""What the guide for those who move shows is what happens, and what it names exists."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from holdfast.delivery.v1 import delivery_pb2

from delivery_service import bootstrap
from delivery_service.domain.errors import Refusal
from delivery_service.settings import Settings
from devtools.journey import PREPARE, photo
from servicekit.errors import KitRefusal
from servicekit.persistence.engines import create_engine
from servicekit.process.server import Server
from tests.delivery_service.client import Delivery
from tests.delivery_service.conftest import Running

GUIDE = (Path(__file__).parents[2] / "docs/moving-to-the-package-rpcs.md").read_text()


@pytest.fixture
async def address(delivery: Delivery, running: Running) -> AsyncIterator[str]:
    """Where a server with one prepared package listens that two drivers could take."""
    await delivery.driver(6)
    await delivery.order({"AJ1-42": 2}, 4711)
    package = await delivery.create("DRIVER_TO_USER", ["4711"], package_sn="PG-4711")
    await delivery.take(package.package_sn, PREPARE)
    settings = Settings(
        database_url=running.url,
        inventory_address="unused",
        evidence_url=str(running.photos),
        listen="127.0.0.1:0",
        drain_pause_seconds=0,
    )
    server = Server(bootstrap.assemble(settings, create_engine(running.url), running.inventory))
    yield f"127.0.0.1:{await server.start()}"
    await server.stop()


async def test_the_snippet_of_the_guide_prints_what_is_shown(address: str, tmp_path: Path) -> None:
    [(snippet, shown)] = re.findall(r"```python\n(.*?)```\s*```console\n(.*?)```", GUIDE, re.DOTALL)
    (tmp_path / "loaded.jpg").write_bytes(photo("loaded"))

    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", snippet),
        cwd=tmp_path,
        env={**os.environ, "DELIVERY_ADDRESS": address},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()

    assert output.decode() == shown


def test_every_call_that_the_guide_names_exists_and_every_mutation_is_named() -> None:
    methods = {method.name for method in delivery_pb2.DESCRIPTOR.services_by_name["DeliveryService"].methods}
    named = set(re.findall(r"`((?:[A-Z][a-z]+){2,})`", GUIDE)) - {"CheckConsistency"}

    assert named <= methods
    reads = {method for method in methods if method.startswith(("Get", "List"))}
    assert methods - reads <= named


def test_every_reason_that_the_guide_names_exists() -> None:
    kinds = [*Refusal.__subclasses__(), *KitRefusal.__subclasses__()]
    for kind in kinds:
        kinds += kind.__subclasses__()
    reasons = {re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.__name__).upper() for kind in kinds}
    words = set(re.findall(r"`([A-Z]+(?:_[A-Z]+)+)`", GUIDE))
    named = {word for word in words if not word.startswith(("WORKFLOW_", "PACKAGE_STATE_", "STOCK_STATE_"))}

    assert len(named) > 20
    assert named <= reasons
