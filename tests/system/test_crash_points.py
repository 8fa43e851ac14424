"""A process that dies at any named point loses nothing: the end is that of a run without a death."""

import pytest
from holdfast.delivery.v1 import package_pb2 as pb

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


async def test_a_lease_left_by_a_dead_relay_is_taken_over(pair: Pair, town: Town) -> None:
    sku = await town.stock(7)
    request = town.package_request(pb.WORKFLOW_MERCHANT_TO_USER, await town.order({sku: 2}))
    async with dying_at(pair.delivery, "claim.after_commit", then="lease.after_takeover"):
        package = await town.insist(town.create, request)
        await town.stock_state(package.package_sn, pb.STOCK_STATE_HELD)
    assert await town.levels(sku) == (7, 2)
