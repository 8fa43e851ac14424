"""A command is ended by ^C, by SIGTERM and by a terminal that hangs up, and puts away what it has each time."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

KEEPER = """
import asyncio, sys
from devtools import interruption
async def keep():
    try:
        print("begun", flush=True)
        await asyncio.sleep(60)
    finally:
        await asyncio.sleep(1)
        print("put away", flush=True)
def command():
    asyncio.run(keep())
    return 0
sys.exit(interruption.run(command))
"""
PARENT = f"""
import sys
from devtools import interruption, processes
sys.exit(interruption.run(lambda: processes.run_here([sys.executable, "-c", {KEEPER!r}])))
"""

TIDY_PARENT = f"""
import sys, time
from devtools import interruption, processes
def command():
    try:
        return processes.run_here([sys.executable, "-c", {KEEPER!r}])
    finally:
        print("its child is gone", flush=True)
        time.sleep(1)
        print("all is put away", flush=True)
sys.exit(interruption.run(command))
"""

# Whoever has the tests outlive his terminal has them begin without ears for it.
LISTENING = "import signal\nsignal.signal(signal.SIGHUP, signal.SIG_DFL)\n"


def everybody(process: "subprocess.Popen[str]", number: int) -> None:
    os.killpg(process.pid, number)


@pytest.mark.parametrize("program", [KEEPER, PARENT], ids=["alone", "with a child"])
@pytest.mark.parametrize(
    ("tell", "number"),
    [
        (subprocess.Popen.send_signal, signal.SIGTERM),
        (everybody, signal.SIGTERM),
        (everybody, signal.SIGHUP),
        (everybody, signal.SIGINT),
    ],
    ids=["SIGTERM to it alone", "SIGTERM to all", "SIGHUP to all", "SIGINT to all"],
)
def test_a_command_that_is_told_to_end_puts_away_what_it_has(
    program: str, tell: Callable[["subprocess.Popen[str]", int], None], number: int
) -> None:
    with begun(program) as command:
        tell(command, number)

        assert command.communicate(timeout=30) == ("put away\n", "")
        assert command.returncode == 130


def test_whoever_is_told_again_is_not_cut_short() -> None:
    with begun(PARENT) as command:
        for _ in range(3):
            everybody(command, signal.SIGTERM)

        assert command.communicate(timeout=30) == ("put away\n", "")


def test_whoever_has_waited_for_a_child_is_not_cut_short_either() -> None:
    with begun(TIDY_PARENT) as command:
        assert command.stdout is not None
        command.send_signal(signal.SIGTERM)
        assert [command.stdout.readline() for _ in range(2)] == ["put away\n", "its child is gone\n"]

        command.send_signal(signal.SIGTERM)

        assert command.communicate(timeout=30) == ("all is put away\n", "")
        assert command.returncode == 130


def test_a_command_that_was_started_to_outlive_its_terminal_does_so() -> None:
    with begun(f"import signal\nsignal.signal(signal.SIGHUP, signal.SIG_IGN)\n{KEEPER}") as command:
        command.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            command.wait(0.5)

        command.send_signal(signal.SIGTERM)
        assert command.communicate(timeout=30) == ("put away\n", "")


def test_a_command_in_the_background_of_a_script_can_be_ended() -> None:
    with begun(f"import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n{KEEPER}") as command:
        command.send_signal(signal.SIGTERM)

        assert command.communicate(timeout=30) == ("put away\n", "")


def begun(program: str) -> "subprocess.Popen[str]":
    """The program, once it has something to put away."""
    command = subprocess.Popen(
        [sys.executable, "-c", LISTENING + program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert command.stdout is not None
    assert command.stdout.readline() == "begun\n"
    return command
