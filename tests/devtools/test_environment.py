import ast
import os
import signal
import subprocess
import time
from pathlib import Path

import grpc
import pytest

from devtools import environment
from servicekit.process.health import Health, check
from tests.devtools.checkout import ROOT, PrivateCheckout


def dev(checkout: PrivateCheckout, *arguments: str) -> subprocess.CompletedProcess[str]:
    # Without the environment of this run, as in a shell that has just opened.
    environment = {name: os.environ[name] for name in ("HOME", "LANG") if name in os.environ}
    path = os.pathsep.join(
        folder for folder in os.environ["PATH"].split(os.pathsep) if not folder.startswith(str(ROOT))
    )
    return subprocess.run(
        ["./dev", *arguments],
        cwd=checkout.root,
        # That pip compiles everything it installs is not asked about here, and takes its time.
        env={**environment, "PATH": path, "PIP_NO_COMPILE": "1"},
        capture_output=True,
        text=True,
        timeout=900,
    )


def test_a_checkout_without_an_environment_makes_its_own_once(tmp_path: Path) -> None:
    checkout = PrivateCheckout(tmp_path)

    first = dev(checkout, "protos")
    second = dev(checkout, "protos")

    assert first.returncode == 0, first.stdout + first.stderr
    assert "making .venv" in first.stdout
    assert (checkout.root / ".venv/bin/inventory-service").exists()
    assert second.returncode == 0
    assert second.stdout == ""


def test_the_list_of_commands_needs_no_environment(tmp_path: Path) -> None:
    checkout = PrivateCheckout(tmp_path)

    listed = dev(checkout)

    assert listed.returncode == 0
    for target in ("demo", "up", "down", "reset", "logs", "test", "lint", "format", "protos"):
        assert f"\n  {target} " in listed.stdout
    assert not (checkout.root / ".venv").exists()


def test_an_unknown_command_is_refused_with_those_there_are(tmp_path: Path) -> None:
    checkout = PrivateCheckout(tmp_path)

    refused = checkout.run("frobnicate")

    assert refused.returncode == 2
    assert "demo, up, down" in refused.stderr


def test_an_argument_that_a_command_does_not_know_is_refused_with_its_usage(tmp_path: Path) -> None:
    checkout = PrivateCheckout(tmp_path)

    refused = checkout.run("up", "--force")

    assert refused.returncode == 2
    assert refused.stderr == "usage: ./dev up (it takes no arguments)\n"
    assert not (checkout.root / ".local").exists()


def test_an_interrupt_while_a_command_loads_ends_it_without_a_word() -> None:
    loading = subprocess.Popen(
        ["./dev", "logs"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while loading.poll() is None and not interpreter_would_raise(loading.pid):
        time.sleep(0.001)

    loading.send_signal(signal.SIGINT)

    assert "Traceback" not in "".join(loading.communicate(timeout=30))
    assert loading.returncode != 0


def interpreter_would_raise(pid: int) -> bool:
    """Whether the command's own interpreter has begun and catches interrupts."""
    process = Path(f"/proc/{pid}")
    caught = int((process / "status").read_text().partition("SigCgt:")[2].split()[0], 16)
    return b"-m\0devtools" in (process / "cmdline").read_bytes() and bool(caught & 1 << signal.SIGINT - 1)


@pytest.mark.parametrize("unless", ["no_proxy", "NO_PROXY"])
async def test_no_proxy_is_asked_for_what_is_on_this_machine(
    unless: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, health = grpc.aio.server(), Health(())
    health.register(server)
    health.set(True)
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv(unless, "example.org")
    assert not await check(address)

    environment.bypass_proxy()

    assert await check(address)
    assert os.environ["no_proxy"].startswith("example.org,")
    await server.stop(None)


def test_locks_name_no_place_to_load_from() -> None:
    for lock in (ROOT / "requirements").glob("*.txt"):
        text = lock.read_text()
        assert "://" not in text
        assert "--index-url" not in text
        assert text.count("==") > 0


def test_the_door_is_understood_by_pythons_that_are_too_old() -> None:
    ast.parse((ROOT / "dev").read_text(), feature_version=(3, 5))
