"""Many callers at once, on two servers that know nothing of each other."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable

from holdfast.inventory.v1 import movement_pb2
from holdfast.inventory.v1 import reservation_pb2 as pb

from tests.inventory_service.client import DISPATCHER, SHOP, Inventory, outcome


async def test_the_last_units_are_held_once(pair: tuple[Inventory, Inventory]) -> None:
    await pair[0].create("A", 7)

    outcomes = await asyncio.gather(
        *(outcome(pair[index % 2].reserve(f"r{index}", {"A": 1})) for index in range(60))
    )

    assert Counter(outcomes) == {"OK": 7, "not enough stock": 53}
    assert await pair[0].levels("A") == (7, 7, 0)


async def test_lines_in_opposite_order_do_not_stand_in_each_others_way(
    pair: tuple[Inventory, Inventory],
) -> None:
    for sku in ("A", "B", "C"):
        await pair[0].create(sku, 1000)
    orders = [("A", "B", "C"), ("C", "B", "A"), ("B", "A", "C")]

    outcomes = await asyncio.gather(
        *(
            outcome(pair[index % 2].reserve(f"r{index}", [(sku, 1) for sku in orders[index % 3]]))
            for index in range(60)
        )
    )

    assert outcomes == ["OK"] * 60
    assert await pair[0].levels("B") == (1000, 60, 940)


async def test_one_id_fifty_times_holds_once(pair: tuple[Inventory, Inventory]) -> None:
    await pair[0].create("A", 100)

    answers = await asyncio.gather(*(pair[index % 2].reserve("r1", {"A": 3}) for index in range(50)))

    assert all(answer == answers[0] for answer in answers)
    assert await pair[0].levels("A") == (100, 3, 97)


async def test_one_id_with_two_contents_has_one_winner(pair: tuple[Inventory, Inventory]) -> None:
    for sku in ("A", "B"):
        await pair[0].create(sku, 100)
    for round_ in range(10):
        wishes = [{"A": 1}, {"B": 1}] * 5

        outcomes = await asyncio.gather(
            *(outcome(pair[i % 2].reserve(f"r{round_}", wish)) for i, wish in enumerate(wishes))
        )

        assert outcomes.count("OK") == 5
        kind = [answer == "OK" for answer in outcomes]
        assert kind in ([True, False] * 5, [False, True] * 5)
    assert sum([(await pair[0].levels(sku))[1] for sku in ("A", "B")]) == 10


async def test_a_reserve_and_its_release_at_once_hold_nothing_in_the_end(
    pair: tuple[Inventory, Inventory],
) -> None:
    await pair[0].create("A", 1000)
    seen: Counter[bool] = Counter()
    for round_ in range(30):
        calls = [
            outcome(pair[0].reserve(f"r{round_}", {"A": 1})),
            outcome(pair[1].release(f"r{round_}", metadata=DISPATCHER)),
        ]
        random.shuffle(calls)

        await asyncio.gather(*calls)

        done = await pair[0].reservation(f"r{round_}")
        seen[done.tombstone] += 1
    assert await pair[0].levels("A") == (1000, 0, 1000)
    assert sum(seen.values()) == 30


async def test_an_unknown_id_is_tombstoned_once_by_many(pair: tuple[Inventory, Inventory]) -> None:
    marks = await asyncio.gather(*(pair[index % 2].release("r1", metadata=DISPATCHER) for index in range(20)))

    assert all(mark == marks[0] for mark in marks)


async def test_commit_release_and_expiry_have_one_winner(pair: tuple[Inventory, Inventory]) -> None:
    await pair[0].create("A", 10_000)
    winners: Counter[str] = Counter()
    for round_ in range(45):
        reservation_id = f"r{round_}"
        await pair[0].reserve(reservation_id, {"A": 2}, ttl=60)
        calls: list[Awaitable[object]] = [
            outcome(pair[0].commit(reservation_id)),
            outcome(pair[1].release(reservation_id)),
            outcome(pair[round_ % 2].extend(reservation_id, 60)),
        ]
        random.shuffle(calls)
        if round_ % 3 == 0:
            calls.append(pair[1].let_expire(reservation_id))

        await asyncio.gather(*calls)

        done = await pair[0].reservation(reservation_id)
        winners[pb.ReservationState.Name(done.state)] += 1
        await asyncio.gather(
            outcome(pair[0].commit(reservation_id)), outcome(pair[1].release(reservation_id))
        )
        assert (await pair[0].reservation(reservation_id)).state == done.state
    sold = 2 * winners["RESERVATION_STATE_COMMITTED"]
    assert await pair[0].levels("A") == (10_000 - sold, 0, 10_000 - sold)
    assert set(winners) == {
        "RESERVATION_STATE_COMMITTED",
        "RESERVATION_STATE_RELEASED",
        "RESERVATION_STATE_EXPIRED",
    }


async def test_an_adjustment_never_takes_what_a_racing_reserve_holds(
    pair: tuple[Inventory, Inventory],
) -> None:
    await pair[0].create("A", 20)

    outcomes = await asyncio.gather(
        *(outcome(pair[index % 2].reserve(f"r{index}", {"A": 1})) for index in range(20)),
        *(outcome(pair[index % 2].adjust("A", -1, f"q{index}")) for index in range(20)),
    )

    held = outcomes[:20].count("OK")
    gone = outcomes[20:].count("OK")
    assert held + gone == 20
    assert await pair[0].levels("A") == (20 - gone, held, 0)


async def test_each_of_many_adjustments_answers_its_own_movement_at_a_time_in_line(
    pair: tuple[Inventory, Inventory],
) -> None:
    await pair[0].create("A", 1000)
    requests = [
        movement_pb2.AdjustStockRequest(
            sku="A",
            delta=1,
            reason=movement_pb2.MOVEMENT_REASON_FOUND,
            reference=f"shelf {index}",
            request_id=f"q{index}",
        )
        for index in range(60)
    ]

    answers = await asyncio.gather(
        *(
            pair[index % 2].stub.AdjustStock(request, metadata=SHOP, timeout=10)
            for index, request in enumerate(requests)
        )
    )

    assert [answer.movement.reference for answer in answers] == [request.reference for request in requests]
    assert len({answer.movement.movement_id for answer in answers}) == 60
    in_turn = sorted(answers, key=lambda answer: answer.stock.quantity)
    for times in (
        [answer.stock.update_time.ToNanoseconds() for answer in in_turn],
        [answer.movement.create_time.ToNanoseconds() for answer in in_turn],
    ):
        assert times == sorted(times)


async def test_holds_past_their_time_are_given_back_once_by_many(
    pair: tuple[Inventory, Inventory],
) -> None:
    await pair[0].create("A", 30)
    for index in range(30):
        await pair[0].reserve(f"old{index}", {"A": 1}, ttl=60)
    await pair[0].let_expire(*(f"old{index}" for index in range(30)))

    outcomes = await asyncio.gather(
        *(outcome(pair[index % 2].reserve(f"r{index}", {"A": 1})) for index in range(40))
    )

    assert Counter(outcomes) == {"OK": 30, "not enough stock": 10}
    assert await pair[0].levels("A") == (30, 30, 0)
