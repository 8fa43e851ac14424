"""Places: a queue lets nobody in who would wait for too long, and waits out a pause."""

import asyncio

import pytest

from servicekit import places
from servicekit.errors import ConcurrentUpdate, Overloaded
from servicekit.places import Places

WORK_SECONDS = 0.02


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "MOST_WAIT_SECONDS", 0.3)
    monkeypatch.setattr(places, "MOST_PATIENCE_SECONDS", 1.0)


async def work(at: Places, seconds: float = WORK_SECONDS, *, patient: bool = False) -> None:
    async with at.place(patient=patient):
        await asyncio.sleep(seconds)


async def test_of_five_times_as_many_as_there_are_places_for_most_are_refused_at_once_and_the_others_served() -> (
    None
):
    at, refused_after, clock = Places(4), list[float](), asyncio.get_running_loop().time

    async def ask() -> bool:
        began = clock()
        try:
            await work(at)
        except Overloaded:
            refused_after.append(clock() - began)
            return False
        return True

    asked = []
    for _ in range(100):
        asked += [asyncio.create_task(ask()) for _ in range(20)]
        await asyncio.sleep(WORK_SECONDS)
    served = sum(await asyncio.gather(*asked))

    assert 300 < served < 600
    assert sorted(refused_after)[len(refused_after) * 9 // 10] < 0.01


async def test_what_only_the_first_ones_took_refuses_nobody_behind_them() -> None:
    at = Places(4)
    first = [asyncio.create_task(work(at, 0.2)) for _ in range(4)]
    coming = [asyncio.create_task(work(at, 0.001)) for _ in range(40)]
    await first[0]
    await asyncio.sleep(0)
    assert at.length > 20
    coming += [asyncio.create_task(work(at, 0.001)) for _ in range(4)]

    await asyncio.gather(*first, *coming)


async def test_who_comes_while_nothing_moves_is_let_in_and_served_when_it_does() -> None:
    at, going_on = Places(2), asyncio.Event()

    async def stand_still() -> None:
        async with at.place():
            await going_on.wait()

    standing = [asyncio.create_task(stand_still()) for _ in range(20)]
    await asyncio.sleep(0.5)
    coming = [asyncio.create_task(work(at, 0)) for _ in range(50)]
    await asyncio.sleep(0.1)
    going_on.set()

    await asyncio.gather(*standing, *coming)
    await work(at)
    assert at.length == 0


async def test_a_slow_queue_that_is_over_refuses_nobody() -> None:
    at = Places(1)
    await asyncio.gather(*(work(at, 0.2) for _ in range(4)))

    await asyncio.gather(*(work(at, 0) for _ in range(50)))


async def test_a_slow_queue_that_everybody_left_refuses_nobody() -> None:
    at, going_on = Places(1), asyncio.Event()

    async def stand_still() -> None:
        async with at.place():
            await going_on.wait()

    slow = [asyncio.create_task(work(at, 0.2)) for _ in range(2)]
    standing = asyncio.create_task(stand_still())
    leaving = asyncio.create_task(work(at))
    await asyncio.gather(*slow)
    leaving.cancel()
    await asyncio.wait([leaving])

    coming = [asyncio.create_task(work(at, 0)) for _ in range(50)]
    await asyncio.sleep(0)
    going_on.set()
    await asyncio.gather(standing, *coming)


async def test_who_gets_no_place_in_time_leaves_and_who_is_patient_does_not() -> None:
    at, impatient = Places(1), Places(1, too_late=ConcurrentUpdate)
    async with at.place(), impatient.place():
        patient = asyncio.create_task(work(at, patient=True))
        with pytest.raises(Overloaded):
            await work(at)
        with pytest.raises(ConcurrentUpdate):
            await work(impatient)
        assert at.length == 1 and at.waited_seconds > 1.0

    await patient
    await asyncio.gather(work(at), work(impatient))


async def test_who_is_patient_is_let_in_where_others_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "MOST_WAITING", 1)
    at = Places(1)
    async with at.place():
        waiting = [asyncio.create_task(work(at, patient=True)) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await work(at)

    await asyncio.gather(*waiting)
