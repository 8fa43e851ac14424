"""A process that dies at any named point loses nothing: the end is that of a run without a death."""

import pytest

from chaos.campaigns.crash_points import dying_at
from chaos.stories import DELIVERY, INVENTORY, Story
from tests.support.services import Pair
from tests.support.town import Town


@pytest.mark.parametrize(
    ("point", "story"), DELIVERY, ids=lambda value: value if isinstance(value, str) else ""
)
async def test_delivery_may_die_at_any_point(pair: Pair, town: Town, point: str, story: Story) -> None:
    async with dying_at(pair.delivery, point):
        await story(town)
    assert await town.findings() == []


@pytest.mark.parametrize(
    ("point", "story"), INVENTORY, ids=lambda value: value if isinstance(value, str) else ""
)
async def test_inventory_may_die_at_any_point(pair: Pair, town: Town, point: str, story: Story) -> None:
    async with dying_at(pair.inventory, point):
        await story(town)
    assert await town.findings() == []
