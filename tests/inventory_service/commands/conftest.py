"""A ledger with two months of the past, and the command as an operator types it."""

import argparse
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from inventory_service.commands.archive import ARCHIVE
from inventory_service.settings import Archive
from tests.inventory_service.client import Inventory
from tests.inventory_service.ledger import FEBRUARY, JANUARY, Ledger
from tests.support.forks import Done, run_command


@pytest.fixture
async def ledger(inventory: Inventory) -> AsyncIterator[Ledger]:
    """January and February 2024 with 30 movements each; what a test leaves is cleared away."""
    ledger = Ledger(inventory.engine)
    await ledger.make(JANUARY, FEBRUARY)
    await ledger.fill(JANUARY)
    await ledger.fill(FEBRUARY)
    yield ledger
    await ledger.clear()


class ArchiveCommand:
    """`inventory-service archive` over one folder."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder

    async def __call__(self, *arguments: str) -> int:
        """Runs it in this process. Raises CommandFailed."""
        parser = argparse.ArgumentParser()
        ARCHIVE.add_arguments(parser)
        settings = Archive(database_url=self.url, archive_dir=str(self.folder))
        return await ARCHIVE.run(parser.parse_args(arguments), settings)

    def described(self) -> list[str]:
        """The files that have a manifest in the folder."""
        return sorted(json.loads(path.read_text())["file"] for path in self.folder.glob("*.json"))

    async def in_a_process(self, *arguments: str, **environment: str) -> Done:
        """Runs it as a process."""
        variables = {"INVENTORY_DATABASE_URL": self.url, "INVENTORY_ARCHIVE_DIR": str(self.folder)}
        given = variables | {"INVENTORY_LOG_LEVEL": "warning"} | environment
        return await run_command("inventory", "archive", *arguments, **given)


@pytest.fixture
def archive(inventory_url: str, tmp_path: Path) -> ArchiveCommand:
    """The command, with an empty folder."""
    return ArchiveCommand(inventory_url, tmp_path)
