"""python -m chaos.crowd ADDRESS STOCKS SECONDS PREFIX (--callers N | --rate R)

Many callers in a process of their own, who add units to stocks: N of them one call after the other, or R calls a
second whatever becomes of them. Prints what they were told, as JSON.
"""

import argparse
import asyncio
import itertools
import json
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass
from typing import TypeAlias

import grpc
from holdfast.inventory.v1 import inventory_pb2_grpc, movement_pb2

from chaos.packages import STUCK_SECONDS
from tests.support.town import SYSTEM

CHANNELS = 4
CALL_SECONDS = 10.0
TURN_SECONDS = 0.01
Stub: TypeAlias = "inventory_pb2_grpc.InventoryServiceAsyncStub"


@dataclass
class Outcome:
    """What became of the calls."""

    began: float
    """By the monotonic clock, which all processes of a machine share."""
    asked: int
    codes: dict[str, int]
    done_at: list[float]
    """When each call was done, in seconds from the beginning."""

    def done(self, since: float, until: float) -> float:
        """How many calls a second were done between two moments, in seconds from the beginning."""
        return sum(since <= at < until for at in self.done_at) / (until - since)


class _Crowd:
    def __init__(self, stubs: list[Stub], stocks: int, prefix: str) -> None:
        self.codes: Counter[str] = Counter()
        self.done_at: list[float] = []
        self.began = time.monotonic()
        self.asked = 0
        self._stubs = itertools.cycle(stubs)
        self._stocks = stocks
        self._prefix = prefix

    async def ask(self) -> None:
        """One unit more of the next stock."""
        self.asked += 1
        request = addition(self.asked % self._stocks, f"{self._prefix}-{self.asked}")
        try:
            await next(self._stubs).AdjustStock(request, metadata=SYSTEM, timeout=CALL_SECONDS)
        except grpc.aio.AioRpcError as error:
            self.codes[error.code().name] += 1
        else:
            self.codes["OK"] += 1
            self.done_at.append(time.monotonic() - self.began)

    async def in_turn(self, callers: int, seconds: float) -> None:
        """Each caller waits for an answer before the next call."""

        async def caller() -> None:
            while time.monotonic() < self.began + seconds:
                await self.ask()

        await asyncio.gather(*(caller() for _ in range(callers)))

    async def at_rate(self, rate: float, seconds: float) -> None:
        """Calls begin at their time, and end when they end."""
        asking: set[asyncio.Task[None]] = set()
        begun = 0
        while (now := time.monotonic() - self.began) < seconds:
            for _ in range(int(now * rate) - begun):
                begun += 1
                task = asyncio.create_task(self.ask())
                asking.add(task)
                task.add_done_callback(asking.discard)
            await asyncio.sleep(TURN_SECONDS)
        await asyncio.gather(*asking)


def sku(number: int) -> str:
    """One of the stocks."""
    return f"crowd-{number}"


def addition(number: int, request_id: str) -> movement_pb2.AdjustStockRequest:
    """One unit more of a stock."""
    return movement_pb2.AdjustStockRequest(
        sku=sku(number), delta=1, reason=movement_pb2.MOVEMENT_REASON_RECEIVED, request_id=request_id
    )


async def crowd(
    address: str, stocks: int, seconds: float, prefix: str, *, callers: int = 0, rate: float = 0.0
) -> Outcome:
    """Runs this module as a program; answers what became of its calls.

    Raises RuntimeError where it failed, and TimeoutError where it does not end.
    """
    how = ("--callers", str(callers)) if callers else ("--rate", str(rate))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "chaos.crowd", address, str(stocks), str(seconds), prefix, *how),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(seconds + STUCK_SECONDS):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode != 0:
        raise RuntimeError(f"the crowd ended with {process.returncode}")
    return Outcome(**json.loads(said))


async def _main() -> None:
    parser = argparse.ArgumentParser("chaos.crowd")
    parser.add_argument("address")
    parser.add_argument("stocks", type=int)
    parser.add_argument("seconds", type=float)
    parser.add_argument("prefix")
    parser.add_argument("--callers", type=int, default=0)
    parser.add_argument("--rate", type=float, default=0.0)
    said = parser.parse_args()
    channels = [
        grpc.aio.insecure_channel(said.address, options=[("grpc.use_local_subchannel_pool", 1)])
        for _ in range(CHANNELS)
    ]
    async with asyncio.timeout(CALL_SECONDS):
        await asyncio.gather(*(channel.channel_ready() for channel in channels))
    stubs = [inventory_pb2_grpc.InventoryServiceStub(channel) for channel in channels]
    those = _Crowd(stubs, said.stocks, said.prefix)
    if said.callers:
        await those.in_turn(said.callers, said.seconds)
    else:
        await those.at_rate(said.rate, said.seconds)
    for channel in channels:
        await channel.close()
    outcome = Outcome(those.began, those.asked, dict(those.codes), those.done_at)
    print(json.dumps(asdict(outcome)))


if __name__ == "__main__":
    asyncio.run(_main())
