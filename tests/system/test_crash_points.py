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


@pytest.mark.parametrize("verb", [1, 2, 3, 4, 5], ids=["prepare", "claim", "arrive", "ship", "complete"])
async def test_delivery_may_die_around_the_commit_of_a_verb_that_leaves_the_stock_alone(
    pair: Pair, town: Town, verb: int
) -> None:
    sku = await town.stock(7)
    request = town.package_request(pb.WORKFLOW_DRIVER_TO_WAREHOUSE, await town.order({sku: 2}))
    package = await town.insist(town.create, request)
    package = await town.stock_state(package.package_sn, pb.STOCK_STATE_HELD)

    async with dying_at(pair.delivery, f"move.before_commit:{verb} move.after_commit"):
        await town.drive(package)

    package = await town.stock_state(package.package_sn, pb.STOCK_STATE_COMMITTED)
    assert package.state == pb.PACKAGE_STATE_COMPLETED
    events = pb.ListPackageEventsRequest(package_sn=package.package_sn, page_size=100)
    told = (await town.delivery.ListPackageEvents(events, timeout=10)).events
    assert [event.sequence for event in told] == list(range(1, 10))
    assert await town.levels(sku) == (5, 0)
    assert await town.findings() == []
