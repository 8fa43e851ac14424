"""A group commit to submit wishes to."""

from collections.abc import AsyncIterator

import pytest

from tests.inventory_service.client import Inventory
from tests.inventory_service.workers.tills import Till, tilling


@pytest.fixture
async def till(inventory: Inventory, inventory_url: str) -> AsyncIterator[Till]:
    """A group commit on the books of `inventory`, which has 1,000 units of A and of B."""
    async with tilling(inventory, inventory_url) as till:
        yield till
