"""python -m benchmarks.peers: the peers and holdfast side by side; `make bench-peers` comes here.

A server that the environment names (HOLDFAST_BENCH_POSTGRES_URL) must allow 230 connections.
"""

import argparse
import asyncio
import random
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path

from benchmarks.bench import machine
from benchmarks.bench.results import Void
from benchmarks.bench.run import ROUNDS, SECONDS, rounds, seconds
from benchmarks.database import private_server
from benchmarks.peers import report
from benchmarks.peers.holdfast import LINES, Streaming, Unary
from benchmarks.peers.medusa import medusa
from benchmarks.peers.oscar import oscar
from benchmarks.peers.packages import PeerUnavailable
from benchmarks.peers.rounds import ATTEMPTS, LAST_UNITS, PLENTY, SPREAD, Measured, Panel, take_turns
from benchmarks.peers.sides import Side
from benchmarks.peers.three_statements import three_statements
from benchmarks.peers.tigerbeetle import tigerbeetle
from benchmarks.peers.warehouse import Warehouse, warehouse
from devtools import interruption
from devtools.console import say
from devtools.engines.engine import EngineUnavailable
from devtools.environment import ROOT
from devtools.packages import PackagesUnavailable
from servicekit.telemetry import logs

RESULTS = ROOT / "docs/benchmarks"
LOOKS = ROOT / ".local/benchmarks"
NO_ADDRESS = (
    "no address was given (--tigerbeetle ADDRESS); its server is in no registry that this fetches from"
)


class Peers:
    """Who came, in pairs of the correct side and another one, and why others did not."""

    def __init__(self) -> None:
        self.came: dict[str, tuple[Side, Side]] = {}
        self.absent: dict[str, str] = {}

    async def invite(
        self, name: str, peer: AbstractAsyncContextManager[tuple[Side, Side]], stack: AsyncExitStack
    ) -> None:
        """Starts a peer until the stack ends; one that cannot be had is remembered with its reason."""
        try:
            self.came[name] = await stack.enter_async_context(peer)
        except (PeerUnavailable, PackagesUnavailable) as reason:
            self.absent[name] = str(reason)
            say(f"{name} takes no part: {reason}")

    def sides(self, which: int, *names: str) -> list[Side]:
        """The first or second sides of those named who came."""
        return [self.came[name][which] for name in names if name in self.came]


def panels(peers: Peers, by_hand: Side, ours: Warehouse) -> list[Panel]:
    """What is measured."""
    single = peers.sides(0, "Medusa", "django-oscar", "TigerBeetle")
    single += [by_hand, Unary(ours), Streaming(ours)]
    wide = [Unary(ours, lines=LINES), *peers.sides(1, "TigerBeetle")]
    shipped = peers.sides(1, "Medusa", "django-oscar")
    return [
        Panel("hot", "One unit of one sku, again and again", 1, PLENTY, 0, single),
        Panel("spread", f"One unit of {SPREAD} skus in turn", SPREAD, PLENTY, 0, single),
        Panel("wide", "Many units a call, beside one of one sku", LINES, PLENTY, 0, wide),
        Panel("last", "The last units", 1, LAST_UNITS, ATTEMPTS, single),
        Panel("shipped", "The last units, as shipped", 1, LAST_UNITS, ATTEMPTS, shipped, correct=False),
    ]


@asynccontextmanager
async def _everybody(
    address: str | None, folder: Path
) -> AsyncIterator[tuple[Peers, list[Panel], Warehouse, str]]:
    with private_server("postgres") as (server, line):
        async with AsyncExitStack() as stack:
            peers = Peers()
            await peers.invite("Medusa", medusa(server, folder / "medusa.log"), stack)
            await peers.invite("django-oscar", oscar(server, folder / "oscar.log"), stack)
            if address:
                await peers.invite("TigerBeetle", tigerbeetle(address, folder / "tigerbeetle.log"), stack)
            else:
                peers.absent["TigerBeetle"] = NO_ADDRESS
            ours = await stack.enter_async_context(warehouse(server, folder / "holdfast.log"))
            by_hand = await stack.enter_async_context(three_statements(ours))
            yield peers, panels(peers, by_hand, ours), ours, line


async def measure(arguments: argparse.Namespace) -> int:
    """Runs all rounds and writes the report; 1 where a run is void."""
    seed = arguments.seed if arguments.seed is not None else random.randrange(10_000)
    with tempfile.TemporaryDirectory(prefix="hf-peers-") as folder:
        async with _everybody(arguments.tigerbeetle, Path(folder)) as (peers, wanted, ours, line):
            say(f"{arguments.rounds} rounds, order by seed {seed}")
            measured: Measured = await take_turns(
                wanted, arguments.rounds, arguments.seconds, seed, ours.checkpoint
            )
            findings = await ours.findings()
        facts = {**machine.facts(), "database": line}
        report.write(arguments.output, facts, wanted, measured, peers.absent | measured.stopped, findings)
    say(f"written: {arguments.output / 'peers.md'}, with peers.json")
    for finding in findings:
        say(f"holdfast's own books are not consistent: {finding}")
    for turn in measured.void:
        say(f"void: {turn.side}, {turn.panel}, round {turn.round + 1}: {turn.wrong}")
    return 1 if findings or measured.void else 0


def main() -> int:
    """Reads the arguments and measures; answers the exit code."""
    parser = argparse.ArgumentParser(prog="make bench-peers", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=rounds, default=ROUNDS)
    parser.add_argument("--seconds", type=seconds, default=SECONDS, help="of each turn")
    parser.add_argument("--seed", type=int, help="of the order of the turns")
    parser.add_argument(
        "--short",
        action="store_true",
        help="one round of a second each, for a quick look that replaces no report",
    )
    parser.add_argument(
        "--tigerbeetle", metavar="ADDRESS", help="of a TigerBeetle that runs, such as 127.0.0.1:3000"
    )
    parser.add_argument("--output", type=Path, help="a folder for the report")
    arguments = parser.parse_args()
    if arguments.short:
        arguments.rounds, arguments.seconds = 1, 1.0
    arguments.output = arguments.output or RESULTS
    whole = arguments.rounds >= ROUNDS and arguments.seconds >= SECONDS
    if not whole and arguments.output.resolve() == RESULTS:
        arguments.output = LOOKS
    try:
        return asyncio.run(measure(arguments))
    except (EngineUnavailable, Void) as reason:
        print(reason, file=sys.stderr)
        return 1


if __name__ == "__main__":
    logs.configure("warning")
    sys.exit(interruption.run(main))
