"""What the bench's clients send, and what is read from what they print."""

import asyncio
import struct
import sys

import pytest
from holdfast.inventory.v1 import reservation_pb2 as pb

from benchmarks.bench import bodies, caller, engine_limit, h2load
from benchmarks.bench.results import Void
from benchmarks.bench.wishes import ANY_SKU, HOT_SKU, Wishes

ALL_ANSWERED = """\
finished in 1.25s, 4000.00 req/s, 1.20MB/s
requests: 5000 total, 5000 started, 5000 done, 5000 succeeded, 0 failed, 0 errored, 0 timeout
"""
PGBENCH = """\
number of transactions actually processed: 1204
number of failed transactions: 0 (0.000%)
tps = 602.000000 (without initial connection time)
"""


def test_h2load_is_read_in_requests_and_seconds() -> None:
    assert h2load.parsed(ALL_ANSWERED) == (5000, 1.25)
    assert h2load.parsed(ALL_ANSWERED.replace("1.25s", "250.00ms")) == (5000, 0.25)


@pytest.mark.parametrize(
    "output",
    [
        ALL_ANSWERED.replace("5000 succeeded, 0 failed", "4999 succeeded, 1 failed"),
        "requests: 5000 total, 5000 started, 5000 done, 5000 succeeded, 0 failed",
        "",
    ],
)
def test_a_request_of_h2load_without_an_answer_voids_the_run(output: str) -> None:
    with pytest.raises(Void):
        h2load.parsed(output)


def test_pgbench_is_read_in_transactions_and_their_rate() -> None:
    assert engine_limit.parsed(PGBENCH) == (1204, 602.0)


@pytest.mark.parametrize(
    "output", [PGBENCH.replace("failed transactions: 0", "failed transactions: 3"), PGBENCH[:50], ""]
)
def test_a_failed_transaction_of_pgbench_voids_the_run(output: str) -> None:
    with pytest.raises(Void):
        engine_limit.parsed(output)


def test_a_body_bears_each_message_behind_its_length() -> None:
    body = bodies.stream(HOT_SKU, 3)

    messages = []
    while body:
        compressed, length = struct.unpack("!BI", body[:5])
        assert not compressed
        messages.append(pb.ReserveStockStreamRequest.FromString(body[5 : 5 + length]))
        body = body[5 + length :]
    assert [message.correlation_id for message in messages] == ["0", "1", "2"]
    assert all(message.reserve.lines[0].sku == HOT_SKU for message in messages)


def test_the_fixed_body_becomes_a_request_of_its_own_each_time() -> None:
    parse = Wishes(1000).deserializer(pb.ReserveStockRequest.FromString)
    content = bodies.reserve([ANY_SKU] * 50).SerializeToString()

    first, second = parse(content), parse(content)

    assert len({first.reservation_id, second.reservation_id, "bench"}) == 3
    drawn = [line.sku for line in first.lines]
    assert len(set(drawn)) == 50
    assert all(1 <= int(sku.removeprefix("S")) <= 1000 for sku in drawn)
    assert {line.sku for line in second.lines} != set(drawn)


def test_a_request_that_names_what_it_wants_is_left_as_it_is() -> None:
    parse = Wishes(1000).deserializer(pb.ReserveStockRequest.FromString)

    hot = parse(bodies.reserve([HOT_SKU]).SerializeToString())
    own = bodies.reserve(["S7"], "mine")

    assert [line.sku for line in hot.lines] == [HOT_SKU]
    assert parse(own.SerializeToString()) == own


async def test_a_client_that_does_not_answer_in_time_voids_its_turn_and_answers_no_later_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(caller, "MOST_WAITING_SECONDS", 0.1)
    late = "import time; time.sleep(1); print('{}', flush=True); time.sleep(60)"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", late), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    client = caller.Caller(process)

    with pytest.raises(Void, match="create: not answered within"):
        await client.call("create")
    with pytest.raises(Void, match="the client ended"):
        await client.call("move")
    async with asyncio.timeout(5):
        assert await process.wait() != 0
