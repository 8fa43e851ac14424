import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from holdfast.inventory.v1 import stock_pb2
from holdfast.ops.v1 import ops_pb2 as pb
from sqlalchemy.ext.asyncio import AsyncEngine

from servicekit import places
from servicekit.persistence.engines import create_engine
from servicekit.persistence.transactions import Transactions
from servicekit.rpc.context import Context
from servicekit.rpc.mutations import Mutations, digest
from servicekit.tasks import Tasks
from tests.servicekit.accounts import Accounts, balances
from tests.servicekit.serving import UnknownThing, asking, seen
from tests.servicekit.sessions import wire_to
from tests.servicekit.waiting import until

Request, Reply = pb.RequeueOutboxRequest, pb.RequeueOutboxResponse
Work = Callable[[Accounts], Awaitable[Any]]


class Bank:
    """A servicer with one mutation, which deposits 1 and answers the balance."""

    def __init__(self, engine: AsyncEngine, before: Work | None = None, about: str | None = None) -> None:
        self.tasks = Tasks()
        self._about = about
        self._mutations = Mutations(Transactions(engine, Accounts), self.tasks)
        self._before = before
        self.worked = 0

    async def __call__(self, request: Any, context: Context) -> Any:
        async def deposit(uow: Accounts) -> Any:
            self.worked += 1
            await uow.add(1, 1)
            if self._before:
                await self._before(uow)
            return Reply(entry=pb.OutboxEntry(attempts=await uow.balance(1)))

        return await self._mutations.run(
            request, deposit, Reply, context=context, name="deposit", about=self._about
        )


@asynccontextmanager
async def bank(
    engine: AsyncEngine, before: Work | None = None, about: str | None = None
) -> AsyncIterator[tuple[Bank, Any]]:
    servicer = Bank(engine, before, about)
    async with asking(servicer, Request) as ask:
        yield servicer, ask


async def replayed(call: Any) -> bool:
    return ("idempotent-replayed", "true") in tuple(await call.initial_metadata())


async def test_a_repeat_is_answered_as_the_first_call_was_and_says_so(engine: AsyncEngine, url: str) -> None:
    async with bank(engine) as (servicer, ask):
        first = ask(Request(entry_id="e", request_id="r-1"), timeout=5)
        second = ask(Request(entry_id="e", request_id="r-1"), timeout=5)
        answers = [Reply.FromString(await call) for call in (first, second)]
        third = ask(Request(entry_id="e", request_id="r-1"), timeout=5)
        answers.append(Reply.FromString(await third))

        assert [answer.entry.attempts for answer in answers] == [101, 101, 101]
        assert sorted([await replayed(first), await replayed(second)]) == [False, True]
        assert await replayed(third)
        assert servicer.worked == 1
    assert await balances(url) == [101, 100]


async def test_without_a_request_id_every_call_has_its_effect(engine: AsyncEngine, url: str) -> None:
    async with bank(engine) as (_, ask):
        for _ in range(2):
            call = ask(Request(entry_id="e"), timeout=5)
            await call
            assert not await replayed(call)

    assert await balances(url) == [102, 100]


async def test_other_content_under_the_same_id_is_refused_and_changes_nothing(
    engine: AsyncEngine, url: str
) -> None:
    async with bank(engine) as (_, ask):
        await ask(Request(entry_id="e", request_id="r-1"), timeout=5)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await ask(Request(entry_id="other", request_id="r-1"), timeout=5)

    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert seen(refused.value).reason == "REQUEST_ID_REUSED"
    assert await balances(url) == [101, 100]


async def test_another_caller_may_use_the_same_id(engine: AsyncEngine, url: str) -> None:
    async with bank(engine) as (_, ask):
        for actor in ("1", "2"):
            metadata = (("actor-role", "merchant"), ("actor-id", actor))
            await ask(Request(entry_id=actor, request_id="r-1"), metadata=metadata, timeout=5)

    assert await balances(url) == [102, 100]


async def test_a_refusal_is_not_remembered(engine: AsyncEngine, url: str) -> None:
    refusing = True

    async def refuse_once(uow: Accounts) -> None:
        nonlocal refusing
        if refusing:
            refusing = False
            raise UnknownThing

    async with bank(engine, refuse_once) as (_, ask):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await ask(Request(request_id="r-1"), timeout=5)
        assert seen(refused.value).reason == "UNKNOWN_THING"
        assert await balances(url) == [100, 100]

        call = ask(Request(request_id="r-1"), timeout=5)
        await call
        assert not await replayed(call)
    assert await balances(url) == [101, 100]


@pytest.mark.parametrize("engine_name", ["postgres"], indirect=True)
async def test_a_call_with_too_little_time_is_refused_before_anything_is_done(
    engine: AsyncEngine, url: str
) -> None:
    refusals = []
    async with bank(engine) as (servicer, ask):
        for seconds in (0.02, 0.03, 0.04):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await ask(Request(), timeout=seconds)
            refusals.append(refused.value)

        assert servicer.worked == 0
    assert {refusal.code() for refusal in refusals} == {grpc.StatusCode.DEADLINE_EXCEEDED}
    assert "DEADLINE_TOO_SHORT" in {seen(refusal).reason for refusal in refusals if seen(refusal).details}
    assert await balances(url) == [100, 100]


async def test_the_work_of_a_caller_that_leaves_is_done_to_its_end(engine: AsyncEngine, url: str) -> None:
    working = asyncio.Event()

    async def slowly(uow: Accounts) -> None:
        working.set()
        await asyncio.sleep(0.2)

    async with bank(engine, slowly) as (servicer, ask):
        call = ask(Request(request_id="r-1"), timeout=5)
        leaving = asyncio.ensure_future(_ended(call))
        await working.wait()
        call.cancel()
        await leaving
        assert len(servicer.tasks) == 1
        assert await servicer.tasks.drain(5)

        assert await balances(url) == [101, 100]
        repeat = ask(Request(request_id="r-1"), timeout=5)
        assert Reply.FromString(await repeat).entry.attempts == 101
        assert await replayed(repeat)


async def _ended(call: Any) -> None:
    with pytest.raises((asyncio.CancelledError, grpc.aio.AioRpcError)):
        await call


@pytest.mark.parametrize("cut", ["before", "after"])
async def test_a_commit_lost_on_the_way_is_answered_once_its_outcome_is_found(
    engine: AsyncEngine, url: str, cut: str
) -> None:
    async with wire_to(url) as (through, wire):
        cuttable = create_engine(through)

        async def arm(uow: Accounts) -> None:
            wire.cut_commit = cut if servicer.worked == 1 else None

        async with bank(cuttable, arm) as (servicer, ask):
            call = ask(Request(request_id="r-1"), timeout=5)

            assert Reply.FromString(await call).entry.attempts == 101
            assert await replayed(call) is (cut == "after")
            assert servicer.worked == (1 if cut == "after" else 2)
        await cuttable.dispose()
    assert await balances(url) == [101, 100]


async def test_a_lost_commit_of_work_that_cannot_tell_is_owned_up_to(engine: AsyncEngine, url: str) -> None:
    async with wire_to(url) as (through, wire):
        cuttable = create_engine(through)

        async def arm(uow: Accounts) -> None:
            wire.cut_commit = "after"

        async with bank(cuttable, arm) as (_, ask):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await ask(Request(), timeout=5)
        await cuttable.dispose()

    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
    assert seen(refused.value).reason == "DATABASE_UNAVAILABLE"
    assert await balances(url) == [101, 100]


async def test_work_that_outlasts_its_call_is_ended_and_leaves_nothing(engine: AsyncEngine, url: str) -> None:
    async def endlessly(uow: Accounts) -> None:
        await asyncio.sleep(60)

    async with bank(engine, endlessly) as (servicer, ask):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await ask(Request(request_id="r-1"), timeout=0.3)
        await until(lambda: len(servicer.tasks) == 0, seconds=2)

    assert refused.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert await balances(url) == [100, 100]


def test_the_digest_is_of_the_fields_that_matter() -> None:
    same = Request(entry_id="e", note="n", request_id="r-1")
    unknown = Request.FromString(same.SerializeToString() + b"\xfa\x3f\x01x")

    assert digest(Request(entry_id="e", note="n", request_id="r-2")) == digest(same) == digest(unknown)
    assert digest(Request(entry_id="n", note="e", request_id="r-1")) != digest(same)

    ids = [(f"id-{number}", str(number)) for number in range(50)]
    stocks = [_with_external_ids(ids), _with_external_ids(list(reversed(ids)))]
    assert digest(stocks[0]) == digest(stocks[1])


def _with_external_ids(ids: list[tuple[str, str]]) -> Any:
    request = stock_pb2.CreateStockRequest(sku="s")
    for name, value in ids:
        request.details.external_ids[name] = value
    return request


async def test_whoever_has_waited_for_its_turn_is_not_told_then_that_there_is_no_room(
    engine: AsyncEngine, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    going_on = asyncio.Event()

    async def wait(_uow: Accounts) -> None:
        await going_on.wait()

    async with bank(engine, wait, about="account 1") as (servicer, ask):
        calls = [asyncio.ensure_future(ask(Request(entry_id=str(number)), timeout=5)) for number in range(3)]
        await until(lambda: servicer.worked == 2)
        await asyncio.sleep(0.1)
        monkeypatch.setattr(places, "MOST_WAITING", 0)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await ask(Request(entry_id="no room"), timeout=5)
        going_on.set()
        await asyncio.gather(*calls)

    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert await balances(url) == [103, 100]
