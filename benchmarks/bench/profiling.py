"""The run behind `make bench ARGS=--profile`: rows of the first panel, watched by py-spy."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.bench import calls_panel, h2load, profile
from benchmarks.bench.call_rows import CALLS
from benchmarks.bench.caller import caller
from benchmarks.bench.results import Void
from benchmarks.bench.rounds import take_turn, warm_up
from benchmarks.bench.row import H2LOAD, Row
from benchmarks.bench.run import Plan, Say
from benchmarks.bench.sides import Tools
from benchmarks.database import private_server

TURNS = 10
"""One row is watched for as long as this many turns."""
ROWS = ("bare", "empty", "reserve-hot", "stream-hot", "reserve-lines")
HEAD = """# Where the server's processor goes

Made by `make bench ARGS=--profile`: py-spy looked {rate} times a second for {seconds:g} s into the server's process, at
native frames too, while h2load had 64 calls in flight (4 streams where a row says so); each look stops the process for
a moment. The microseconds are shares of what the processor spent on one call, or on one reservation, just before,
without py-spy; what the server does while nobody calls is among them, as work of workers. py-spy sees the threads that
run Python; what gRPC's own threads do is spread over all shares.

"""


async def run(plan: Plan, folder: Path, say: Say) -> None:
    """Writes profile.md. Raises EngineUnavailable without h2load or py-spy; Void."""
    program, client = profile.find(), h2load.find()
    rows = _watched(plan)
    with private_server("postgres") as (postgres, _):
        async with caller() as python:
            tools = Tools(postgres, plan.seconds, plan.seed, plan.short, python, client, None)
            async with calls_panel.calls(tools, rows) as opened:
                samples, microseconds = {}, {}
                for row in rows:
                    side = opened.sides[row.key]
                    await warm_up(side, plan.seconds)
                    taken = (await take_turn(row, 1, side, plan.seconds, {})).server_microseconds
                    assert taken is not None
                    microseconds[row.title] = taken / row.units
                    samples[row.title] = await profile.profiled(program, side, TURNS * plan.seconds)
                    say(f"{row.title}: {samples[row.title].total()} samples")
    _write(folder, plan, profile.table(samples, microseconds))
    say(f"written: {folder / 'profile.md'}")


def _watched(plan: Plan) -> Sequence[Row]:
    """Those wanted that h2load calls, or the ones that say most. Raises Void where there is none."""
    wanted = [row for row in plan.rows.get(CALLS.key, ()) if row.client == H2LOAD]
    if not wanted:
        raise Void(f"only rows of {H2LOAD} in the panel {CALLS.key!r} are watched")
    return [row for row in wanted if row.key in ROWS] if plan.complete else wanted


def _write(folder: Path, plan: Plan, table: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "profile.md").write_text(HEAD.format(rate=profile.RATE, seconds=TURNS * plan.seconds) + table)
