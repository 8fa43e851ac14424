"""What the guide for those who move shows is what happens, and what it names exists."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from holdfast.inventory.v1 import inventory_pb2

from inventory_service.domain.errors import Refusal
from servicekit.errors import KitRefusal
from tests.inventory_service.client import Inventory
from tests.inventory_service.serving import serving

GUIDE = (Path(__file__).parents[2] / "docs/moving-from-the-old-schema.md").read_text()


@pytest.fixture
async def address(inventory: Inventory, inventory_url: str) -> AsyncIterator[str]:
    """Where a server with empty books listens."""
    async with serving(inventory_url) as (_, address):
        yield address


async def test_the_snippet_of_the_guide_prints_what_is_shown(address: str) -> None:
    [(snippet, shown)] = re.findall(r"```python\n(.*?)```\s*```console\n(.*?)```", GUIDE, re.DOTALL)

    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", snippet),
        env={**os.environ, "INVENTORY_ADDRESS": address},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()

    assert output.decode() == shown


def test_every_call_that_the_guide_names_exists() -> None:
    methods = {
        method.name for method in inventory_pb2.DESCRIPTOR.services_by_name["InventoryService"].methods
    }
    named = set(re.findall(r"`((?:[A-Z][a-z]+){2,})`", GUIDE)) - {"ValueError", "CheckConsistency"}

    assert len(named) > 20
    assert named <= methods


def test_every_reason_that_the_guide_names_exists() -> None:
    kinds = (*Refusal.__subclasses__(), *KitRefusal.__subclasses__())
    reasons = {re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.__name__).upper() for kind in kinds}
    named = set(re.findall(r"`([A-Z]+(?:_[A-Z]+)+)`", GUIDE))

    assert len(named) > 12
    assert named <= reasons
