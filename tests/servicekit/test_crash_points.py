import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servicekit.accounts import balances

ROOT = Path(__file__).parents[2]
PASSES = """
from servicekit.crash_points import crash_point
import atexit
atexit.register(print, "cleaned up", flush=True)
for number in range(3):
    crash_point("create.after_package")
    print(number, flush=True)
"""
DEPOSIT = """
import asyncio, sys
from servicekit.persistence.engines import create_engine
from servicekit.persistence.transactions import Transactions
from tests.servicekit.accounts import Accounts

async def main():
    await Transactions(create_engine(sys.argv[1]), Accounts).run(lambda uow: uow.add(1, 1), name="create")

asyncio.run(main())
"""


def run(program: str, crash_at: str | None, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "HOLDFAST_CRASH_AT"}
    if crash_at is not None:
        environment["HOLDFAST_CRASH_AT"] = crash_at
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)


@pytest.mark.parametrize("setting", [None, "", "create.before_commit", "create.after_package:4", "create"])
def test_without_its_name_a_crash_point_does_nothing(setting: str | None) -> None:
    done = run(PASSES, setting)

    assert (done.returncode, done.stdout) == (0, "0\n1\n2\ncleaned up\n")


@pytest.mark.parametrize(
    ("setting", "printed"), [("create.after_package", ""), ("create.after_package:3", "0\n1\n")]
)
def test_a_process_dies_at_the_named_pass_without_cleaning_up(setting: str, printed: str) -> None:
    died = run(PASSES, setting)

    assert (died.returncode, died.stdout) == (137, printed)


@pytest.mark.parametrize("engine_name", ["postgres", "mysql", "mariadb"], indirect=True)
@pytest.mark.parametrize(("place", "balance"), [("before_commit", 100), ("after_commit", 101)])
async def test_what_was_committed_outlives_the_process_and_nothing_else_does(
    url: str, place: str, balance: int
) -> None:
    assert run(DEPOSIT, f"create.{place}", url).returncode == 137

    assert await balances(url) == [balance, 100]
