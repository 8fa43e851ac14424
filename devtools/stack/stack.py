"""Starts, stops and forgets the local stack of a checkout."""

import os
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from devtools.console import say
from devtools.stack import databases
from devtools.stack.service import LOCAL, ROOT, ServiceProcess

INVENTORY_PORT = 7411
DELIVERY_PORT = 7412


@dataclass(frozen=True)
class Addresses:
    """Where a running stack is reached."""

    inventory: str
    delivery: str


class Stack:
    """Databases and services that keep everything in one folder."""

    def __init__(self, local: Path = LOCAL) -> None:
        self._local = local
        self._inventory = ServiceProcess("inventory", INVENTORY_PORT, local)
        self._delivery = ServiceProcess("delivery", DELIVERY_PORT, local)

    def up(self) -> Addresses:
        """Starts what does not run yet; returns when both services say SERVING."""
        self._local.mkdir(parents=True, exist_ok=True)
        urls = databases.start(self._local)
        if not (self._inventory.running and self._delivery.running):
            say("starting inventory and delivery …")
        self._inventory.migrate(urls)
        self._delivery.migrate(urls | self._delivery_settings(""))
        commit = {"HOLDFAST_COMMIT": _commit()}
        inventory = self._inventory.start(
            {"INVENTORY_DATABASE_URL": urls["INVENTORY_DATABASE_URL"], **commit}
        )
        delivery = self._delivery.start(
            {
                "DELIVERY_DATABASE_URL": urls["DELIVERY_DATABASE_URL"],
                **self._delivery_settings(inventory),
                **commit,
            }
        )
        self._inventory.wait(inventory)
        self._delivery.wait(delivery)
        addresses = {"INVENTORY_ADDRESS": inventory, "DELIVERY_ADDRESS": delivery}
        logs = {"INVENTORY_LOG": str(self._inventory.log), "DELIVERY_LOG": str(self._delivery.log)}
        lines = [f"export {name}={shlex.quote(value)}\n" for name, value in (urls | addresses | logs).items()]
        (self._local / "env").write_text("".join(lines))
        return Addresses(inventory, delivery)

    @property
    def running(self) -> bool:
        """Whether any part of it runs."""
        return self.serving or databases.running(self._local)

    @property
    def serving(self) -> bool:
        """Whether a service of it runs."""
        return self._inventory.running or self._delivery.running

    def down(self) -> None:
        """Stops everything; data stays."""
        self._delivery.stop()
        self._inventory.stop()
        databases.stop(self._local)
        (self._local / "env").unlink(missing_ok=True)

    def reset(self) -> None:
        """Stops everything and forgets all data."""
        self._delivery.stop()
        self._inventory.stop()
        databases.forget(self._local)
        shutil.rmtree(self._local, ignore_errors=True)

    def logs(self) -> None:
        """Becomes a process that follows the logs of both services."""
        files = [str(service.log) for service in (self._inventory, self._delivery)]
        os.execvp("tail", ["tail", "-n", "20", "-F", *files])

    def _delivery_settings(self, inventory: str) -> dict[str, str]:
        return {
            "DELIVERY_INVENTORY_ADDRESS": inventory or f"127.0.0.1:{INVENTORY_PORT}",
            "DELIVERY_EVIDENCE_URL": str(self._local / "evidence"),
        }


def _commit() -> str:
    """Names the commit of the checkout; empty where it is no git checkout."""
    try:
        command = ["git", "rev-parse", "--short", "HEAD"]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout.strip()
    except FileNotFoundError:
        return ""
