"""The command line that both services have, as somebody at a terminal meets it."""

import argparse
import os
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from servicekit.process import command_line
from servicekit.process.server import Service
from servicekit.settings import DatabaseSettings

ROOT = Path(__file__).parents[3]
NOWHERE = {
    "inventory": "postgresql+asyncpg://shop:canary@127.0.0.1:9/shop",
    "delivery": "mysql+asyncmy://shop:canary@127.0.0.1:9/shop",
}


def run(service: str, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    ours = ("INVENTORY_", "DELIVERY_", "HOLDFAST_CRASH_AT")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    command = [sys.executable, "-m", f"{service}_service", *words]
    return subprocess.run(
        command, cwd=ROOT, env=environment | variables, capture_output=True, text=True, timeout=30
    )


@pytest.mark.parametrize("service", NOWHERE)
def test_serving_without_settings_names_all_that_is_missing(service: str) -> None:
    done = run(service, "serve", **{f"{service.upper()}_LISTEN": "127.0.0.1:0"})

    assert (done.returncode, done.stdout) == (2, "")
    lines = done.stderr.splitlines()
    assert lines and all(f"{service.upper()}_" in line and " is not set: " in line for line in lines), (
        done.stderr
    )
    assert any(line.startswith(f"{service.upper()}_DATABASE_URL") for line in lines)


@pytest.mark.parametrize("service", NOWHERE)
def test_migrating_needs_nothing_but_the_database(service: str) -> None:
    done = run(service, "migrate", "status", **{f"{service.upper()}_DATABASE_URL": NOWHERE[service]})

    assert done.returncode == 1
    assert "migrate status failed" in done.stderr
    assert "canary" not in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("service", NOWHERE)
def test_an_address_that_is_taken_is_told_in_one_line(service: str, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = run(
            service,
            "serve",
            **{f"{service.upper()}_DATABASE_URL": NOWHERE[service], f"{service.upper()}_LISTEN": address},
            DELIVERY_INVENTORY_ADDRESS="127.0.0.1:9",
            DELIVERY_EVIDENCE_URL=str(tmp_path),
        )

    assert (done.returncode, done.stdout) == (2, "")
    assert f"cannot listen on {address}" in done.stderr
    assert "canary" not in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("service", NOWHERE)
def test_an_interrupt_while_a_command_loads_is_told_in_words(service: str) -> None:
    command = [sys.executable, "-X", "importtime", "-m", f"{service}_service", "serve"]
    loading = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    assert loading.stderr is not None
    # The first room of the service that is loaded; all that comes after takes far longer than a signal.
    for line in loading.stderr:
        if line.rstrip().endswith(f"{service}_service.adoption"):
            break

    loading.send_signal(signal.SIGINT)

    rest = [line for line in loading.communicate(timeout=30)[1].splitlines() if "import time:" not in line]
    assert (loading.returncode, rest) == (130, [f"{service}-service was interrupted"])


def test_an_unknown_command_is_answered_with_those_that_exist() -> None:
    done = run("inventory", "sell")

    assert done.returncode == 2
    assert "serve" in done.stderr and "migrate" in done.stderr


@dataclass(frozen=True, kw_only=True)
class Shelf:
    shelf: str = field(metadata={"help": "which shelf"})


def count_to(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("number", type=int)


async def count(arguments: argparse.Namespace, settings: Shelf) -> int:
    if arguments.number < 0:
        raise command_line.CommandFailed("nobody counts to less than nothing")
    if arguments.number == 0:
        raise KeyboardInterrupt
    print(settings.shelf, arguments.number)
    return 7


@pytest.mark.parametrize(
    ("number", "shelf", "expected"),
    [
        ("3", "top", (7, "top 3\n", "")),
        ("-1", "top", (1, "", "count failed: nobody counts to less than nothing\n")),
        ("0", "top", (130, "", "count was interrupted\n")),
        ("3", "", (2, "", "SHOP_SHELF is not set: which shelf\n")),
    ],
)
def test_a_command_that_a_service_adds_reads_its_own_settings(
    number: str,
    shelf: str,
    expected: tuple[int, str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["shop-service", "count", number])
    monkeypatch.setenv("SHOP_SHELF", shelf)
    added = command_line.Command("count", "count", count_to, Shelf, count)

    code = command_line.run("shop", DatabaseSettings, DatabaseSettings, build=never, commands=[added])

    printed = capsys.readouterr()
    assert (code, printed.out, printed.err) == expected


def test_an_interrupt_before_a_service_serves_is_told_in_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["shop-service", "serve"])
    monkeypatch.setenv("SHOP_DATABASE_URL", NOWHERE["inventory"])

    def interrupted(settings: DatabaseSettings) -> Service:
        raise KeyboardInterrupt

    code = command_line.run("shop", DatabaseSettings, DatabaseSettings, build=interrupted)

    assert (code, capsys.readouterr().err) == (130, "serve was interrupted\n")


def never(settings: DatabaseSettings) -> Service:
    raise AssertionError("nobody asked to serve")
