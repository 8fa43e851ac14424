import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from servicekit.errors import RequestIdReused
from servicekit.persistence.requests import RequestKey, RequestLog
from servicekit.persistence.transactions import Transactions
from tests.servicekit.accounts import REQUESTS, Accounts, balances

KEY = RequestKey("merchant:7", "/holdfast.test/Deposit", "r-1", "a" * 64)


async def deposit(uow: Accounts, key: RequestKey = KEY) -> bytes | None:
    """Deposits 1 once for each key; answers what an earlier call stored."""
    earlier = await uow.requests.claim(key)
    if earlier is not None:
        return earlier
    await uow.add(1, 1)
    await uow.requests.answer(key, b"deposited")
    return None


async def stored(transactions: Transactions[Accounts]) -> int:
    async def count(uow: Accounts) -> int:
        return int((await uow.connection.execute(select(func.count()).select_from(REQUESTS))).scalar_one())

    return await transactions.read(count)


async def test_an_equal_request_is_answered_as_the_first_was_and_does_nothing(
    transactions: Transactions[Accounts], url: str
) -> None:
    assert await transactions.run(deposit) is None
    assert await transactions.run(deposit) == b"deposited"

    assert await balances(url) == [101, 100]
    assert await stored(transactions) == 1


async def test_an_answer_may_be_empty(transactions: Transactions[Accounts]) -> None:
    async def answer_nothing(uow: Accounts) -> bytes | None:
        earlier = await uow.requests.claim(KEY)
        if earlier is None:
            await uow.requests.answer(KEY, b"")
        return earlier

    assert await transactions.run(answer_nothing) is None
    assert await transactions.run(answer_nothing) == b""


async def test_an_answer_may_be_as_large_as_a_message(transactions: Transactions[Accounts]) -> None:
    large = bytes(range(256)) * 4096

    async def answer_much(uow: Accounts) -> bytes | None:
        earlier = await uow.requests.claim(KEY)
        if earlier is None:
            await uow.requests.answer(KEY, large)
        return earlier

    await transactions.run(answer_much)
    assert await transactions.run(answer_much) == large


async def test_the_same_id_with_other_content_is_refused_and_changes_nothing(
    transactions: Transactions[Accounts], url: str
) -> None:
    await transactions.run(deposit)

    with pytest.raises(RequestIdReused) as refused:
        await transactions.run(lambda uow: deposit(uow, RequestKey(KEY.caller, KEY.method, "r-1", "b" * 64)))

    assert refused.value.request_id == "r-1"
    assert await balances(url) == [101, 100]
    assert await transactions.run(deposit) == b"deposited"


@pytest.mark.parametrize(
    "other",
    [
        RequestKey("merchant:8", KEY.method, KEY.request_id, KEY.digest),
        RequestKey(KEY.caller, "/holdfast.test/Other", KEY.request_id, KEY.digest),
        RequestKey(KEY.caller, KEY.method, "R-1", KEY.digest),
    ],
)
async def test_an_id_belongs_to_one_caller_and_one_method_letter_for_letter(
    transactions: Transactions[Accounts], url: str, other: RequestKey
) -> None:
    await transactions.run(deposit)

    assert await transactions.run(lambda uow: deposit(uow, other)) is None

    assert await balances(url) == [102, 100]


async def test_a_failed_call_leaves_its_id_free(transactions: Transactions[Accounts], url: str) -> None:
    async def fail(uow: Accounts) -> None:
        await deposit(uow)
        raise ArithmeticError

    with pytest.raises(ArithmeticError):
        await transactions.run(fail)
    assert await stored(transactions) == 0

    assert await transactions.run(deposit) is None
    assert await balances(url) == [101, 100]


async def test_fifty_copies_at_once_have_one_effect_and_one_answer(
    transactions: Transactions[Accounts], url: str
) -> None:
    claiming = most_claiming = 0

    async def slow_deposit(uow: Accounts) -> bytes | None:
        nonlocal claiming, most_claiming
        claiming += 1
        most_claiming = max(most_claiming, claiming)
        try:
            earlier = await uow.requests.claim(KEY)
        finally:
            claiming -= 1
        if earlier is not None:
            return earlier
        await asyncio.sleep(0.05)
        await uow.add(1, 1)
        await uow.requests.answer(KEY, b"deposited")
        return None

    answers = await asyncio.gather(*(transactions.run(slow_deposit) for _ in range(50)))

    assert most_claiming > 5
    assert answers.count(None) == 1
    assert answers.count(b"deposited") == 49
    assert await balances(url) == [101, 100]


async def test_a_waiting_copy_takes_over_when_the_first_rolls_back(
    transactions: Transactions[Accounts], url: str
) -> None:
    claimed, fail = asyncio.Event(), asyncio.Event()

    async def first(uow: Accounts) -> None:
        await uow.requests.claim(KEY)
        claimed.set()
        await fail.wait()
        raise ArithmeticError

    failing = asyncio.create_task(transactions.run(first))
    await claimed.wait()
    waiting = [asyncio.create_task(transactions.run(deposit)) for _ in range(3)]
    await asyncio.sleep(0.1)
    assert not any(task.done() for task in waiting)
    fail.set()

    with pytest.raises(ArithmeticError):
        await failing
    answers = await asyncio.gather(*waiting)
    assert answers.count(None) == 1
    assert answers.count(b"deposited") == 2
    assert await balances(url) == [101, 100]


async def test_old_requests_are_forgotten_in_batches_and_young_ones_kept(
    transactions: Transactions[Accounts], engine: AsyncEngine
) -> None:
    now = datetime.now(UTC)
    async with engine.begin() as connection:
        for age_days in range(6):
            log = RequestLog(connection, REQUESTS, now - timedelta(days=age_days, hours=1))
            await log.claim(RequestKey("c", "m", f"r-{age_days}", "d" * 64))

    async def forget(uow: Accounts) -> int:
        return await uow.requests.forget(timedelta(days=2), most=3)

    assert [await transactions.run(forget) for _ in range(3)] == [3, 1, 0]
    assert await stored(transactions) == 2
