import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pytest

from benchmarks.peers.packages import PeerUnavailable
from benchmarks.peers.program import running
from benchmarks.peers.sides import Work

ROOT = Path(__file__).parents[3]
POLITE = """
from benchmarks.peers.programs.answering import answer
def begin():
    print("{a library says", "hello", flush=True)
def reserve(how, skus, callers, seconds, attempts):
    return dict(accepted=callers, refused=1, failures={how: 2}, seconds=float(callers))
answer(dict(begin=begin, reserve=reserve))
"""


def command(source: str) -> Sequence[str]:
    return [sys.executable, "-c", source]


async def test_a_program_answers_what_its_callers_were_told_whatever_its_libraries_print(
    tmp_path: Path,
) -> None:
    log = tmp_path / "log"
    async with running(command(POLITE), folder=ROOT, environment={}, log=log) as program:
        told = await program.reserve(Work(["a"], callers=64, attempts=4), "locked")

    assert (told.accepted, told.refused, told.seconds) == (64, 1, 64.0)
    assert asdict(told)["failures"] == {"locked": 2}
    assert log.read_text().count("{a library says hello") == 1


async def started(source: str, log: Path) -> None:
    async with running(command(source), folder=ROOT, environment={}, log=log):
        pass


async def test_a_program_that_ends_takes_no_part_and_its_last_words_say_why(tmp_path: Path) -> None:
    with pytest.raises(PeerUnavailable, match=r"begin: its process ended\. .*no module of that name"):
        await started("raise SystemExit('no module of that name')", tmp_path / "log")


async def test_a_program_that_cannot_begin_takes_no_part_and_says_why(tmp_path: Path) -> None:
    source = POLITE.replace(
        'print("{a library says", "hello", flush=True)', "raise ConnectionError('no server')"
    )

    with pytest.raises(PeerUnavailable, match=r"^begin: ConnectionError: no server$"):
        await started(source, tmp_path / "log")
