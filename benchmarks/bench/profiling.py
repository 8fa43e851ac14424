"""The run behind `make bench ARGS=--profile`: two rows of the first panel, watched by py-spy."""

from pathlib import Path

from benchmarks.bench import calls_panel, h2load, profile
from benchmarks.bench.caller import caller
from benchmarks.bench.rounds import take_turn
from benchmarks.bench.rows import CALLS
from benchmarks.bench.run import Plan, Say
from benchmarks.bench.sides import Tools
from benchmarks.database import private_server

ROWS = ("empty", "reserve-hot")
HEAD = """# Where the server's processor goes

Made by `make bench ARGS=--profile`: py-spy looked {rate} times a second for {seconds:g} s into the server's process, at
native frames too, while h2load had 64 calls in flight; each look stops the process for a moment. The microseconds are
shares of what the processor spent on one call just before, without py-spy.

"""


async def run(plan: Plan, folder: Path, say: Say) -> None:
    """Writes profile.md. Raises EngineUnavailable without h2load or py-spy; Void."""
    program, client = profile.find(), h2load.find()
    rows = [row for row in CALLS.rows if row.key in ROWS]
    with private_server("postgres") as (postgres, _):
        async with caller() as python:
            tools = Tools(postgres, plan.seconds, plan.short, python, client, None)
            async with calls_panel.calls(tools, rows) as opened:
                samples, microseconds = {}, {}
                for row in rows:
                    side = opened.sides[row.key]
                    for share in (0.1, 0.4):
                        await side.settle(await side.operate(plan.seconds * share))
                    microseconds[row.title] = (
                        await take_turn(row, 1, side, plan.seconds)
                    ).server_microseconds
                    samples[row.title] = await profile.profiled(program, side, plan.seconds)
                    say(f"{row.title}: {samples[row.title].total()} samples")
    _write(folder, plan, profile.table(samples, microseconds))
    say(f"written: {folder / 'profile.md'}")


def _write(folder: Path, plan: Plan, table: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "profile.md").write_text(HEAD.format(rate=profile.RATE, seconds=plan.seconds) + table)
