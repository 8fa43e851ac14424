import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from holdfast.ops.v1 import ops_pb2_grpc
from structlog.testing import capture_logs

from servicekit.rpc import calls
from servicekit.rpc.calls import Call, current_call
from servicekit.rpc.context import Context
from servicekit.telemetry.logs import with_call
from tests.servicekit.serving import SERVICE, Answered, Asked, Metadata, UnknownThing, asking, seen, serving
from tests.servicekit.waiting import until

SECRET = "SELECT canary FROM vault"


async def call_as_seen(metadata: Metadata = (), seconds: float | None = 5) -> Call:
    found: list[Call] = []

    async def note(request: Message, context: Context) -> Message:
        found.append(current_call())
        return Answered()

    async with asking(note) as ask:
        await ask(Asked(), metadata=metadata, timeout=seconds)
    return found[0]


async def refusal_of(behaviour: Callable[[Any, Context], Awaitable[Message]], **call: Any) -> Any:
    async with asking(behaviour) as ask:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await ask(Asked(), **{"timeout": 5, **call})
    return seen(refused.value)


async def test_a_caller_is_who_its_metadata_says() -> None:
    call = await call_as_seen((("actor-role", "driver"), ("actor-id", "41"), ("x-call-id", "c-9")))

    assert (call.caller.name, call.caller.role, call.caller.actor_id) == ("driver:41", "driver", "41")
    assert call.call_id == "c-9"
    assert call.method == f"/{SERVICE}/Ask"


async def test_a_caller_that_says_nothing_is_anonymous_and_its_call_gets_an_id() -> None:
    first, second = await call_as_seen(), await call_as_seen()

    assert (first.caller.name, first.caller.role, first.caller.actor_id) == ("anonymous", None, None)
    assert first.call_id and second.call_id and first.call_id != second.call_id


@pytest.mark.parametrize(
    ("key", "value", "description"),
    [
        ("actor-role", "pirate", "must be one of merchant, driver, warehouse, dispatcher, system"),
        ("actor-id", "7" * 65, "must have at most 64 characters"),
    ],
)
async def test_an_actor_that_cannot_be_is_refused(key: str, value: str, description: str) -> None:
    async def never(request: Message, context: Context) -> Message:
        raise AssertionError("an actor that cannot be got through")

    with capture_logs(processors=[with_call]) as logs:
        refused = await refusal_of(never, metadata=((key, value), ("x-call-id", "c-9")))

    assert refused.code is grpc.StatusCode.UNAUTHENTICATED
    assert [(entry["call_id"], "Ask" in entry["method"]) for entry in logs] == [("c-9", True)]
    assert refused.reason == "ACTOR_UNKNOWN"
    assert refused.details["ErrorInfo"].metadata == {"key": key, "description": description}


async def test_a_call_that_only_reads_ends_with_its_time_too(monkeypatch: pytest.MonkeyPatch) -> None:
    async def dawdle(request: Message, context: Context) -> Message:
        await asyncio.sleep(5)
        raise AssertionError("nobody ended it")

    monkeypatch.setattr(calls, "CALL_CAP_SECONDS", 0.2)
    refused = await refusal_of(dawdle)

    assert (refused.code, refused.reason) == (grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED")


@pytest.mark.parametrize(("seconds", "expected"), [(None, 10), (60, 10), (3, 3)])
async def test_a_call_has_the_time_its_caller_gave_and_ten_seconds_at_most(
    seconds: float | None, expected: float
) -> None:
    async def remaining(request: Message, context: Context) -> Message:
        return Answered(plan=str(current_call().remaining()))

    async with asking(remaining) as ask:
        answer = Answered.FromString(await ask(Asked(), timeout=seconds))

    assert expected - 1 < float(answer.plan) < expected + 0.5


async def test_a_refusal_is_a_status_with_its_reason() -> None:
    async def refuse(request: Message, context: Context) -> Message:
        raise UnknownThing

    refused = await refusal_of(refuse)

    assert (refused.code, refused.message) == (grpc.StatusCode.NOT_FOUND, "no such thing")
    assert refused.reason == "UNKNOWN_THING"
    assert refused.details["ErrorInfo"].domain == "test.holdfast"


async def test_an_unforeseen_failure_tells_its_caller_nothing_but_the_calls_id() -> None:
    async def fail(request: Message, context: Context) -> Message:
        raise ValueError(SECRET) from RuntimeError(SECRET)

    with capture_logs() as logs:
        refused = await refusal_of(fail, metadata=(("x-call-id", "c-9"),))

    assert refused.code is grpc.StatusCode.INTERNAL
    assert refused.message == "internal error, call id c-9"
    assert refused.reason == "INTERNAL"
    assert dict(refused.details["ErrorInfo"].metadata) == {"call_id": "c-9"}
    assert b"canary" not in refused.trailers and b"Error" not in refused.trailers.replace(b"ErrorInfo", b"")
    assert [str(entry["exc_info"]) for entry in logs if entry["log_level"] == "error"] == [SECRET]


async def test_a_method_without_a_body_is_unimplemented() -> None:
    class Nothing(ops_pb2_grpc.OpsServiceServicer):
        pass

    def register(server: grpc.aio.Server) -> None:
        ops_pb2_grpc.add_OpsServiceServicer_to_server(Nothing(), server)

    async with serving(register) as channel:
        asks: list[Any] = [
            channel.unary_unary("/holdfast.ops.v1.OpsService/ExplainQuery"),
            channel.unary_stream("/holdfast.ops.v1.OpsService/CheckConsistency"),
        ]
        for ask in asks:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                async for _ in _answers(ask(b"", timeout=5)):
                    pass
            assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def _answers(call: Any) -> AsyncIterator[Any]:
    if isinstance(call, grpc.aio.UnaryUnaryCall):
        yield await call
    else:
        async for answer in call:
            yield answer


async def test_a_cancellation_of_our_own_making_is_answered_as_internal() -> None:
    async def cancel_itself(request: Message, context: Context) -> Message:
        raise asyncio.CancelledError(SECRET)

    refused = await refusal_of(cancel_itself)

    assert refused.code is grpc.StatusCode.INTERNAL
    assert refused.reason == "INTERNAL"
    assert b"canary" not in refused.trailers


async def test_time_that_runs_out_inside_is_a_deadline_with_an_unknown_outcome() -> None:
    async def late(request: Message, context: Context) -> Message:
        async with asyncio.timeout(0.01):
            await asyncio.sleep(5)
        return Answered()

    refused = await refusal_of(late)

    assert refused.code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert refused.reason == "DEADLINE_EXCEEDED"


async def test_a_caller_that_leaves_is_no_failure_of_ours() -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    async def slow(request: Message, context: Context) -> Message:
        began.set()
        try:
            await asyncio.sleep(5)
        finally:
            ended.set()
        return Answered()

    with capture_logs() as logs:
        async with asking(slow) as ask:
            call = ask(Asked(), timeout=5)
            waiting = asyncio.ensure_future(_outcome(call))
            await began.wait()
            call.cancel()
            await waiting
            await asyncio.wait_for(ended.wait(), 2)
            await until(lambda: any(entry["event"] == "call" for entry in logs))

    assert [entry["code"] for entry in logs if entry["event"] == "call"] == ["CANCELLED"]
    assert not [entry for entry in logs if entry["log_level"] == "error"]


async def _outcome(call: Any) -> str:
    try:
        await call
    except (asyncio.CancelledError, grpc.aio.AioRpcError):
        return "left"
    return "answered"


async def test_every_call_writes_one_line_and_health_none() -> None:
    async def succeed(request: Message, context: Context) -> Message:
        return Answered()

    async def refuse(request: Message, context: Context) -> Message:
        raise UnknownThing

    with capture_logs() as logs:
        async with asking(succeed) as ask:
            await ask(Asked(), timeout=5)
        await refusal_of(refuse)

    lines = [entry for entry in logs if entry["event"] == "call"]
    assert [entry["code"] for entry in lines] == ["OK", "NOT_FOUND"]
    assert lines[1]["reason"] == "UnknownThing"
    assert all(entry["milliseconds"] >= 0 for entry in lines)


async def test_bytes_that_are_no_message_are_a_bad_request() -> None:
    async def never(request: Message, context: Context) -> Message:
        raise AssertionError("nonsense got through")

    handler = grpc.unary_unary_rpc_method_handler(never, Asked.FromString, Answered.SerializeToString)
    handlers = grpc.method_handlers_generic_handler(SERVICE, {"Ask": handler})
    async with serving(lambda server: server.add_generic_rpc_handlers((handlers,))) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            ask: Any = channel.unary_unary(f"/{SERVICE}/Ask")
            await ask(b"\x0a\x02\xff\xfe", timeout=5)

    assert (seen(refused.value).code, seen(refused.value).reason) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "FIELD_INVALID",
    )
