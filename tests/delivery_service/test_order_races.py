"""What happens to one order at once, on two servers and beside the old application; an old reader looks on."""

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import grpc
import pytest
from holdfast.delivery.v1 import package_pb2 as pb
from sqlalchemy import text

from devtools.journey import PREPARE
from tests.delivery_service.client import DRIVER, MERCHANT, WAREHOUSE, Delivery, refused
from tests.delivery_service.old_reader import old_reader

Pair = tuple[Delivery, Delivery]
UPDATE_ORDER = text("UPDATE tigu_order SET order_status = 4 WHERE id = :order_id")


async def outcome(call: Awaitable[object], head_start: float = 0) -> str:
    """OK, or why not; made a little later."""
    await asyncio.sleep(head_start)
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return (await refused(_raised(error))).reason
    return "OK"


async def insisted(call: Callable[[], Awaitable[object]]) -> str:
    """The outcome for a caller who asks again when the service says that too many were in the way."""
    for _ in range(10):
        reason = await outcome(call())
        if reason != "CONCURRENT_UPDATE":
            return reason
    raise AssertionError("others are in the way for ever")


async def _raised(error: grpc.aio.AioRpcError) -> None:
    raise error


def part(quantity: int) -> list[pb.PackageItem]:
    """Some units of A."""
    return [pb.PackageItem(sku="A", quantity=quantity)]


async def until_both_win(race: Callable[[float], Awaitable[bool]]) -> None:
    """Races until either side has won; the first one starts `lead` seconds later than the second."""
    winners: Counter[bool] = Counter()
    for _ in range(40):
        # Whoever has won less often is given more of a start.
        lead = random.uniform(-0.02, 0.02) + 0.01 * (winners[True] - winners[False])
        winners[await race(lead)] += 1
        if len(winners) == 2:
            return
    raise AssertionError(f"one side wins every race: {winners}")


async def old_application(delivery: Delivery, *statements: Any, **values: object) -> None:
    """One transaction of the old application."""
    async with delivery.engine.begin() as connection:
        for statement in statements:
            await connection.execute(statement, values)


async def test_an_order_that_twenty_pack_at_once_is_in_one_package(pair: Pair) -> None:
    order = await pair[0].order({"A": 2})

    async with old_reader(pair[0].engine):
        outcomes = await asyncio.gather(
            *(insisted(partial(pair[n % 2].create, "DRIVER_TO_USER", [order])) for n in range(20))
        )

    assert Counter(outcomes) == {"OK": 1, "ORDER_ALREADY_PACKED": 19}
    assert pair[0].inventory.held("A") == 2


async def test_packages_that_share_some_orders_keep_out_of_each_others_way(pair: Pair) -> None:
    orders = [await pair[0].order({"A": 2}) for _ in range(5)]
    wishes = [list(wish) for wish in itertools.permutations(orders, 2)]
    random.shuffle(wishes)

    async with old_reader(pair[0].engine):
        outcomes = await asyncio.gather(
            *(
                insisted(partial(pair[n % 2].create, "MERCHANT_TO_USER", wish))
                for n, wish in enumerate(wishes)
            )
        )

    assert set(outcomes) == {"OK", "ORDER_ALREADY_PACKED"}
    packed = [order for wish, made in zip(wishes, outcomes, strict=True) if made == "OK" for order in wish]
    assert len(packed) == len(set(packed)) == 4
    assert pair[0].inventory.held("A") == 8


@pytest.mark.parametrize(
    ("ending", "fields", "afterwards"),
    [
        ("CompletePackage", {}, "ORDER_OVERPACKED"),
        ("CancelPackage", {"reason": "race"}, "OK"),
    ],
)
async def test_a_package_that_ends_leaves_behind_what_it_did_not_take(
    pair: Pair, ending: str, fields: dict[str, str], afterwards: str
) -> None:
    async def race(lead: float) -> bool:
        order = await pair[0].order({"A": 5})
        first = await pair[0].create("MERCHANT_TO_USER", [order], items=part(3))
        if ending == "CompletePackage":
            await pair[0].drive(first, until="DeliverPackage")
        end = pair[0].move(ending, first.package_sn, by=MERCHANT, **fields)
        again = pair[1].create("MERCHANT_TO_USER", [order], items=part(3))
        made, ended = await asyncio.gather(outcome(again, max(lead, 0)), outcome(end, max(-lead, 0)))
        assert ended == "OK"
        assert made in ("ORDER_ALREADY_PACKED", afterwards)
        return made == "ORDER_ALREADY_PACKED"

    async with old_reader(pair[0].engine):
        await until_both_win(race)


async def test_an_order_cancelled_while_it_is_packed_is_packed_before_or_not_at_all(pair: Pair) -> None:
    async def race(lead: float) -> bool:
        order = await pair[0].order({"A": 2})
        made, _ = await asyncio.gather(
            outcome(pair[0].create("MERCHANT_TO_USER", [order], package_sn=f"P-{order}"), max(lead, 0)),
            later(max(-lead, 0), old_application(pair[0], UPDATE_ORDER, order_id=order)),
        )
        assert made in ("OK", "ORDER_NOT_SHIPPABLE")
        if made == "OK":
            photo = await pair[1].upload(f"P-{order}", "PREPARATION")
            prepare = pair[1].move(
                "PreparePackage", f"P-{order}", by=MERCHANT, evidence_ids=[photo.evidence_id]
            )
            assert await outcome(prepare) == "ILLEGAL_TRANSITION"
        return made == "OK"

    async with old_reader(pair[0].engine):
        await until_both_win(race)


async def test_an_order_cancelled_while_its_goods_leave_stays_cancelled_for_old_readers(pair: Pair) -> None:
    status = text("SELECT order_status FROM tigu_order WHERE id = :order_id")
    told = text("SELECT order_status FROM tigu_order_action WHERE order_id = :order_id AND action_type = 5")

    async def race(lead: float) -> bool:
        order = await pair[0].order({"A": 1})
        package = await pair[0].create("MERCHANT_TO_USER", [order])
        await pair[0].take(package.package_sn, PREPARE)
        photo = await pair[0].upload(package.package_sn, "DELIVERY")
        deliver = pair[1].move(
            "DeliverPackage", package.package_sn, by=MERCHANT, evidence_ids=[photo.evidence_id]
        )
        left, _ = await asyncio.gather(
            outcome(deliver, max(lead, 0)),
            later(max(-lead, 0), old_application(pair[0], UPDATE_ORDER, order_id=order)),
        )
        assert left in ("OK", "ILLEGAL_TRANSITION")
        async with pair[0].engine.connect() as connection:
            assert (await connection.execute(status, {"order_id": order})).scalars().all() == [4]
            # Delivered first, cancelled afterwards: the step was told of an order that stood.
            seen = (await connection.execute(told, {"order_id": order})).scalars().all()
        assert seen == ([2] if left == "OK" else [])
        return left == "OK"

    async with old_reader(pair[0].engine):
        await until_both_win(race)


async def test_items_that_are_changed_while_they_are_packed_are_packed_as_before_or_as_after(
    pair: Pair,
) -> None:
    less = text("UPDATE tigu_order_item SET quantity = 1 WHERE order_id = :order_id AND sku = 'A'")
    more = text("UPDATE tigu_order_item SET quantity = 4 WHERE order_id = :order_id AND sku = 'B'")

    async def race(lead: float) -> bool:
        order = await pair[0].order({"A": 3, "B": 2})
        package, _ = await asyncio.gather(
            later(max(lead, 0), pair[0].create("MERCHANT_TO_USER", [order])),
            later(max(-lead, 0), old_application(pair[0], less, more, order_id=order)),
        )
        units = {item.sku: item.quantity for item in package.items}
        assert units in ({"A": 3, "B": 2}, {"A": 1, "B": 4})
        return bool(units["A"] == 3)

    await until_both_win(race)


async def test_a_package_is_shipped_or_goes_on_with_leg_one_but_not_both(pair: Pair) -> None:
    async def race(lead: float) -> bool:
        order = await pair[0].order({"A": 2})
        first = await pair[0].drive(
            await pair[0].create("MERCHANT_TO_WAREHOUSE", [order]), until="ReceivePackage"
        )
        photo = await pair[0].upload(first.package_sn, "SHIPPING", by=WAREHOUSE)
        ship = pair[0].move("ShipPackage", first.package_sn, by=WAREHOUSE, evidence_ids=[photo.evidence_id])
        second = pair[1].create("DRIVER_TO_USER", [order], leg=1, by=WAREHOUSE)
        shipped, went_on = await asyncio.gather(outcome(ship, max(lead, 0)), outcome(second, max(-lead, 0)))
        assert (shipped, went_on) in (("OK", "ORDER_NOT_SHIPPABLE"), ("ILLEGAL_TRANSITION", "OK"))
        return shipped == "OK"

    async with old_reader(pair[0].engine):
        await until_both_win(race)


async def test_an_order_is_completed_once_by_the_last_of_its_legs(pair: Pair) -> None:
    status = text("SELECT order_status, shipping_status FROM tigu_order WHERE id = :order_id")
    async with old_reader(pair[0].engine) as reader:
        for _ in range(2):
            order = await pair[0].order({"A": 2})
            first = await pair[0].drive(
                await pair[0].create("MERCHANT_TO_WAREHOUSE", [order]), until="ReceivePackage"
            )
            second = await pair[0].create("DRIVER_TO_USER", [order], leg=1, by=WAREHOUSE)
            for method, kind, by in (
                ("PreparePackage", "PREPARATION", WAREHOUSE),
                ("ClaimPackage", "", DRIVER),
                ("PickUpPackage", "COLLECTION", DRIVER),
                ("DeliverPackage", "DELIVERY", DRIVER),
            ):
                photos = [(await pair[0].upload(second.package_sn, kind, by=by)).evidence_id] if kind else []
                await pair[0].move(method, second.package_sn, by=by, evidence_ids=photos)

            await asyncio.gather(
                pair[0].move("CompletePackage", first.package_sn, by=MERCHANT),
                pair[1].move("CompletePackage", second.package_sn, by=MERCHANT),
            )

            async with pair[0].engine.connect() as connection:
                assert (await connection.execute(status, {"order_id": order})).one() == (3, 7)
    assert reader.states_seen > 10


async def test_an_order_is_not_completed_while_the_rest_of_it_is_packed(pair: Pair) -> None:
    async def race(lead: float) -> bool:
        order = await pair[0].order({"A": 2})
        first = await pair[0].create("MERCHANT_TO_USER", [order], items=part(1))
        await pair[0].drive(first, until="DeliverPackage")
        complete = pair[0].move("CompletePackage", first.package_sn, by=MERCHANT)
        rest = pair[1].create("MERCHANT_TO_USER", [order], items=part(1))
        completed, packed = await asyncio.gather(
            outcome(complete, max(lead, 0)), outcome(rest, max(-lead, 0))
        )
        assert (completed, packed) in (("OK", "OK"), ("OK", "ORDER_ALREADY_PACKED"))
        return packed == "OK"

    async with old_reader(pair[0].engine):
        await until_both_win(race)


async def later(seconds: float, call: Awaitable[Any]) -> Any:
    """Makes the call a little later."""
    await asyncio.sleep(seconds)
    return await call
