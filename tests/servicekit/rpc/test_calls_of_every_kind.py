"""The interceptor around streams, in either direction."""

import asyncio
import math
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable
from typing import Any

import grpc
import pytest
from structlog.testing import capture_logs

from servicekit.rpc import guard
from servicekit.rpc.calls import current_call
from servicekit.rpc.context import Context
from tests.servicekit.raw_peer import HEADERS, SETTINGS, raw_peer, window
from tests.servicekit.serving import SERVICE, Answered, Asked, UnknownThing, seen, serving, serving_at
from tests.servicekit.waiting import until


async def one_to_one(request: Any, context: Context) -> Any:
    return _answer(request.query)


async def one_to_many(request: Any, context: Context) -> AsyncIterator[Any]:
    for word in request.query.split():
        if word == "wait":
            await asyncio.sleep(0.5)
        yield _answer(word)
    while request.query == "endless":
        yield _answer("more")


async def many_to_one(requests: AsyncIterator[Any], context: Context) -> Any:
    return _answer(" ".join([_answer(request.query).query async for request in requests]))


async def many_to_many(requests: AsyncIterator[Any], context: Context) -> AsyncIterator[Any]:
    async for request in requests:
        yield _answer(request.query)


def _answer(query: str) -> Any:
    if "bad" in query:
        raise UnknownThing
    return Answered(query=query, plan=current_call().caller.name)


def _register(server: grpc.aio.Server) -> None:
    coding = (Asked.FromString, lambda answer: bytes(answer.SerializeToString()))
    handlers = {
        "OneToOne": grpc.unary_unary_rpc_method_handler(one_to_one, *coding),
        "OneToMany": grpc.unary_stream_rpc_method_handler(one_to_many, *coding),
        "ManyToOne": grpc.stream_unary_rpc_method_handler(many_to_one, *coding),
        "ManyToMany": grpc.stream_stream_rpc_method_handler(many_to_many, *coding),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))


async def exchange(channel: grpc.aio.Channel, method: str, *queries: str) -> AsyncIterator[tuple[str, str]]:
    asks, answers = method.split("To")
    kind = f"{'unary' if asks == 'One' else 'stream'}_{'unary' if answers == 'One' else 'stream'}"
    make: Any = getattr(channel, kind)
    ask = make(f"/{SERVICE}/{method}", Asked.SerializeToString, Answered.FromString)
    requests = [Asked(query=query) for query in queries]
    metadata = (("actor-role", "system"), ("actor-id", "1"))
    call = ask(requests[0] if asks == "One" else iter(requests), metadata=metadata, timeout=5)
    if answers == "One":
        answer = await call
        yield answer.query, answer.plan
        return
    async for answer in call:
        yield answer.query, answer.plan


@pytest.mark.parametrize(
    ("method", "queries", "expected"),
    [
        ("OneToOne", ["a"], ["a"]),
        ("OneToMany", ["a b c"], ["a", "b", "c"]),
        ("ManyToOne", ["a", "b"], ["a b"]),
        ("ManyToMany", ["a", "b"], ["a", "b"]),
    ],
)
async def test_calls_of_every_kind_know_their_caller(
    method: str, queries: list[str], expected: list[str]
) -> None:
    async with serving(_register) as channel:
        answers = [answer async for answer in exchange(channel, method, *queries)]

    assert answers == [(word, "system:1") for word in expected]


@pytest.mark.parametrize(
    ("method", "queries", "before"),
    [
        ("OneToOne", ["bad"], []),
        ("OneToMany", ["a b bad c"], ["a", "b"]),
        ("ManyToOne", ["a", "bad"], []),
        ("ManyToMany", ["a", "bad", "c"], ["a"]),
    ],
)
async def test_a_refusal_ends_a_call_of_any_kind_with_a_status(
    method: str, queries: list[str], before: list[str]
) -> None:
    answers = []
    async with serving(_register) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            async for answer, _ in exchange(channel, method, *queries):
                answers.append(answer)

    assert answers == before
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND
    assert seen(refused.value).reason == "UNKNOWN_THING"


async def test_a_caller_that_is_still_sending_learns_why_it_was_refused() -> None:
    async def send() -> AsyncIterator[Any]:
        for query in ("a", "bad", "c", "d"):
            yield Asked(query=query)
            await asyncio.sleep(0)

    codes = Counter[grpc.StatusCode]()
    async with serving(_register) as channel:
        make: Any = channel.stream_stream
        ask = make(f"/{SERVICE}/ManyToMany", Asked.SerializeToString, Answered.FromString)
        for _ in range(200):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                async for _ in ask(send(), timeout=5):
                    pass
            codes[refused.value.code()] += 1

    assert codes == {grpc.StatusCode.NOT_FOUND: 200}


async def test_a_caller_that_never_ends_is_refused_all_the_same() -> None:
    async def send() -> AsyncIterator[Any]:
        while True:
            yield Asked(query="bad")
            await asyncio.sleep(0.01)

    async with serving(_register) as channel:
        make: Any = channel.stream_unary
        ask = make(f"/{SERVICE}/ManyToOne", Asked.SerializeToString, Answered.FromString)
        began = time.monotonic()
        with pytest.raises(grpc.aio.AioRpcError):
            await ask(send(), timeout=8)

    assert time.monotonic() - began < 4


@pytest.mark.parametrize("method", ["ManyToOne", "ManyToMany"])
async def test_a_refused_caller_that_leaves_while_it_is_heard_out_leaves_a_line(
    monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    hearing = asyncio.Event()

    async def hear_on(sending: Awaitable[object]) -> None:
        hearing.set()
        await sending
        await asyncio.sleep(5)

    monkeypatch.setattr(guard, "hear_out", hear_on)
    with capture_logs() as logs:
        async with serving(_register) as channel:
            refused: asyncio.Future[Any] = asyncio.ensure_future(anext(exchange(channel, method, "bad")))
            await hearing.wait()
            refused.cancel()
            await until(lambda: logs)

    assert [entry["code"] for entry in logs] == ["CANCELLED"]


async def test_a_caller_that_leaves_in_the_middle_of_the_answers_is_cancelled() -> None:
    with capture_logs() as logs:
        async with serving(_register) as channel:
            make: Any = channel.unary_stream
            call = make(f"/{SERVICE}/OneToMany", Asked.SerializeToString, Answered.FromString)(
                Asked(query="endless"), timeout=5
            )
            await call.read()
            call.cancel()
            await until(lambda: logs)

    assert [(entry["event"], entry["code"]) for entry in logs] == [("call", "CANCELLED")]


@pytest.mark.parametrize("seconds", [None, 30])
async def test_a_call_that_is_named_as_long_may_last_longer_than_others(
    monkeypatch: pytest.MonkeyPatch, seconds: float | None
) -> None:
    monkeypatch.setattr("servicekit.rpc.calls.CALL_CAP_SECONDS", 0.2)
    monkeypatch.setattr("servicekit.rpc.calls.STREAM_CAP_SECONDS", 0.2)

    async def send() -> AsyncIterator[Any]:
        for query in ("a", "b"):
            await asyncio.sleep(0.3)
            yield Asked(query=query)

    async with serving(_register, long_calls={f"/{SERVICE}/ManyToOne": 8.0}) as channel:
        make: Any = channel.stream_unary
        ask = make(f"/{SERVICE}/ManyToOne", Asked.SerializeToString, Answered.FromString)
        assert (await ask(send(), timeout=seconds)).query == "a b"

    async with serving(_register) as channel:
        make = channel.stream_unary
        ask = make(f"/{SERVICE}/ManyToOne", Asked.SerializeToString, Answered.FromString)
        with pytest.raises(grpc.aio.AioRpcError) as late:
            await ask(send(), timeout=seconds)
    assert late.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


@pytest.mark.parametrize("query", ["a wait", "endless"])
@pytest.mark.parametrize("seconds", [None, 30])
async def test_a_stream_of_answers_ends_when_its_time_is_over(
    monkeypatch: pytest.MonkeyPatch, query: str, seconds: float | None
) -> None:
    monkeypatch.setattr("servicekit.rpc.calls.CALL_CAP_SECONDS", 0.2)
    monkeypatch.setattr("servicekit.rpc.calls.STREAM_CAP_SECONDS", 0.2)

    answers = []
    async with serving(_register) as channel:
        make: Any = channel.unary_stream
        ask = make(f"/{SERVICE}/OneToMany", Asked.SerializeToString, Answered.FromString)
        with pytest.raises(grpc.aio.AioRpcError) as late:
            async with asyncio.timeout(5):
                async for answer in ask(Asked(query=query), timeout=seconds):
                    answers.append(answer.query)

    assert late.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert seen(late.value).reason == "DEADLINE_EXCEEDED"
    assert answers[0] == query.split()[0] and "wait" not in answers


@pytest.mark.parametrize("taken", [0, 64])
async def test_a_caller_that_does_not_read_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, taken: int
) -> None:
    monkeypatch.setattr("servicekit.rpc.calls.CALL_CAP_SECONDS", 0.2)
    closed = asyncio.Event()

    async def reply(request: Any, context: Context) -> AsyncIterator[Any]:
        try:
            yield Answered(query="first")
            yield Answered(query="x" * 64)
        finally:
            closed.set()

    coding = (Asked.FromString, lambda answer: bytes(answer.SerializeToString()))
    handlers = {"OneToMany": grpc.unary_stream_rpc_method_handler(reply, *coding)}
    handler = grpc.method_handlers_generic_handler(SERVICE, handlers)
    with capture_logs() as logs:
        async with (
            serving_at(lambda server: server.add_generic_rpc_handlers((handler,))) as address,
            raw_peer(address, window(taken)) as slow,
        ):
            slow.call(1, f"/{SERVICE}/OneToMany", b"")
            await slow.read_until(HEADERS)
            await asyncio.wait_for(closed.wait(), 5)
            await until(lambda: logs)
            if taken:
                slow.send(SETTINGS, 0, window(1000))
                _, _, trailers = await slow.read_until(HEADERS)
                assert b"grpc-status\x014" in trailers, "DEADLINE_EXCEEDED, once it reads"

    assert [entry["code"] for entry in logs if entry["event"] == "call"] == ["DEADLINE_EXCEEDED"]


@pytest.mark.parametrize("most", [8.0, math.inf])
@pytest.mark.parametrize("seconds", [None, 30])
async def test_a_long_stream_of_answers_may_last_longer(
    monkeypatch: pytest.MonkeyPatch, seconds: float | None, most: float
) -> None:
    monkeypatch.setattr("servicekit.rpc.calls.CALL_CAP_SECONDS", 0.2)
    monkeypatch.setattr("servicekit.rpc.calls.STREAM_CAP_SECONDS", 0.2)

    async with serving(_register, long_calls={f"/{SERVICE}/OneToMany": most}) as channel:
        make: Any = channel.unary_stream
        ask = make(f"/{SERVICE}/OneToMany", Asked.SerializeToString, Answered.FromString)
        answers = [answer.query async for answer in ask(Asked(query="a wait b"), timeout=seconds)]

    assert answers == ["a", "wait", "b"]
