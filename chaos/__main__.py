"""python -m chaos [--campaign N …] [--engine E …] [--short | --size A] [--seed S] [--first].

`make chaos` and `make chaos CAMPAIGN=N` come here.

Without a campaign all of them are run, to their short size; a campaign that is named is run to its long size unless
--short or --size says otherwise. CHAOS_MINUTES ends each run after so many minutes.
"""

import argparse
import asyncio
import os
import random
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.database import private_server
from chaos.campaign import MOST_VIOLATIONS, Campaign, Trial, told
from chaos.campaigns import CAMPAIGNS
from chaos.results import PAGE, commit, publish, result
from devtools import interruption
from devtools.console import say
from devtools.engines.engine import EngineUnavailable
from devtools.engines.server import ServerFailed
from servicekit.reports.progress import progress
from servicekit.telemetry import logs

ENGINES = ("postgres", "mysql", "mariadb")
BESIDE = {"postgres": "mysql"}
"""What the other service is on: delivery, where inventory is tried; inventory is on Postgres everywhere."""


def main(words: list[str] | None = None) -> int:
    """Answers the exit code: 1 where a promise was broken or no server came up, 2 for a campaign or a time that
    there is not."""
    arguments = _parsed(words)
    minutes = _minutes(os.environ.get("CHAOS_MINUTES") or "inf")
    if minutes is None:
        print("CHAOS_MINUTES must be a number, 0 or more", file=sys.stderr)
        return 2
    if unknown := [number for number in arguments.campaign if number not in CAMPAIGNS]:
        print(
            f"no campaign {unknown[0]}; there are {', '.join(map(str, sorted(CAMPAIGNS)))}", file=sys.stderr
        )
        return 2
    wanted = [CAMPAIGNS[number] for number in arguments.campaign or CAMPAIGNS]
    seed = arguments.seed if arguments.seed is not None else random.randrange(1_000_000)
    short = arguments.short or not arguments.campaign
    ways = [
        (campaign, engine)
        for campaign in wanted
        for engine in campaign.engines
        if not arguments.engine or engine in arguments.engine
    ]
    if not ways:
        print(f"none of these campaigns is one of {', '.join(arguments.engine)}", file=sys.stderr)
        return 2
    tried = {engine for campaign, engine in ways if campaign.with_servers}
    servers = tried | {BESIDE.get(engine, "postgres") for engine in tried}
    tries = (
        _tried(
            campaign,
            engine,
            seed,
            arguments.size or (campaign.short if short else campaign.long),
            minutes,
            1 if arguments.first else MOST_VIOLATIONS,
        )
        for campaign, engine in ways
    )
    try:
        with _engines(servers):
            # `all` goes no further than to the first that broke a promise.
            kept = all(tries if arguments.first else list(tries))
    except (EngineUnavailable, ServerFailed) as reason:
        print(reason, file=sys.stderr)
        return 1
    say(f"written: {PAGE.name}")
    return 0 if kept else 1


def _parsed(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("make chaos", description="Tries promises with faults and load.")
    parser.add_argument(
        "--campaign", nargs="+", type=int, default=[], metavar="N", help="only these, to their long size"
    )
    parser.add_argument(
        "--engine", nargs="+", choices=ENGINES, default=[], help="only with these behind them"
    )
    parser.add_argument("--short", action="store_true", help="to the short size")
    parser.add_argument("--size", type=_size, help="to this size: so many attempts")
    parser.add_argument("--first", action="store_true", help="end with the first violation")
    parser.add_argument("--seed", type=int, help="of the choices that are made")
    return parser.parse_args(words)


def _size(told: str) -> int:
    """Raises argparse.ArgumentTypeError."""
    if not told.isdecimal() or not int(told):
        raise argparse.ArgumentTypeError(f"not a number of attempts: {told!r}")
    return int(told)


def _minutes(told: str) -> float | None:
    """None of what is no time."""
    try:
        minutes = float(told)
    except ValueError:
        return None
    return minutes if minutes >= 0 else None


@contextmanager
def _engines(names: set[str]) -> Iterator[None]:
    """Servers of these engines with durability on; campaigns find them where tests do."""
    with ExitStack() as stack:
        for name in sorted(names - {""}):
            url, line = stack.enter_context(private_server(name))
            os.environ[f"HOLDFAST_TEST_{name.upper()}_URL"] = url
            say(line)
        yield


def _first(error: Exception) -> Exception:
    """What failed first, of all that was done at once."""
    return _first(error.exceptions[0]) if isinstance(error, ExceptionGroup) else error


def _tried(campaign: Campaign, engine: str, seed: int, size: int, minutes: float, enough: int) -> bool:
    title = f"{campaign.number} {campaign.title}{f', {engine}' if engine else ''}, seed {seed}"
    sources = commit()
    with progress(title, size) as advance, tempfile.TemporaryDirectory(prefix="hf-chaos-") as folder:
        began = time.monotonic()
        trial = Trial(size, seed, Path(folder), engine, began + minutes * 60, advance, enough)
        try:
            asyncio.run(campaign.judge(trial))
        except KeyboardInterrupt:
            # It is over, and yet what it found by then was found.
            if trial.violations:
                _tell(campaign, trial, sources, time.monotonic() - began)
            raise
        except Exception as error:
            # The other campaigns go on, and this run is on record with what ended it.
            traceback.print_exc()
            trial.violations.append(f"ended by {told(_first(error))}")
    _tell(campaign, trial, sources, time.monotonic() - began)
    return not trial.violations


def _tell(campaign: Campaign, trial: Trial, sources: str, seconds: float) -> None:
    """Puts a run on record, and says what became of it."""
    day = datetime.now(UTC).date().isoformat()
    found = result(campaign, trial, day=day, commit=sources, seconds=seconds)
    # After each: whoever ends the command has a page of what was run before.
    publish(found, CAMPAIGNS)
    for violation in trial.violations[:MOST_VIOLATIONS]:
        print(f"campaign {campaign.number}: {violation}", file=sys.stderr)
    say(
        f"{campaign.number}: {found.attempts:,} {campaign.attempt}{' PARTIAL' if found.partial else ''},"
        f" {len(trial.violations)} violations; {found.faults or 'no faults'}; {found.contention}"
    )


if __name__ == "__main__":
    logs.configure("warning")
    sys.exit(interruption.run(main))
