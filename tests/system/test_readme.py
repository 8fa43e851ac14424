"""What the README shows is what happens."""

import asyncio
import os
import re
import sys

import pytest

from tests.support.forks import ROOT
from tests.support.services import Pair
from tests.support.town import Town


@pytest.mark.parametrize("pair", ["mysql"], indirect=True)
async def test_the_snippet_of_the_readme_runs_and_may_be_repeated(pair: Pair, town: Town) -> None:
    readme = (ROOT / "README.md").read_text()
    snippet, shown = re.findall(r"```python\n(.*?)```\s*```console\n(.*?)```", readme, re.DOTALL)[0]

    for _ in range(2):
        assert await _run(snippet, pair) == shown


async def _run(snippet: str, pair: Pair) -> str:
    addresses = {"INVENTORY_ADDRESS": pair.inventory.address, "DELIVERY_ADDRESS": pair.delivery.address}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", snippet),
        env={**os.environ, **addresses},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return output.decode()
