"""make up, down, reset and logs."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from devtools.console import say
from devtools.stack.service import LOCAL
from devtools.stack.stack import DELIVERY_PORT, INVENTORY_PORT, Addresses, Stack


@contextmanager
def _alone() -> Iterator[None]:
    """Lets one command at a time change the stack of this checkout."""
    with Path(__file__).open() as door:
        try:
            fcntl.flock(door, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another command changes this stack: waiting until it has ended …")
            fcntl.flock(door, fcntl.LOCK_EX)
        yield


@_alone()
def up() -> int:
    """Starts the stack and says how to talk to it."""
    addresses = Stack().up()
    say(f"inventory serves on {addresses.inventory}, delivery on {addresses.delivery}")
    for line in moved(addresses):
        say(line)
    say(f"their databases and addresses are in {LOCAL.name}/env. Try:")
    for line in _examples(addresses):
        say(f"  {line}")
    return 0


@_alone()
def down() -> int:
    """Stops the stack."""
    stack = Stack()
    ran = stack.running
    stack.down()
    say("stopped; the data stays until `make reset`" if ran else "nothing was running")
    return 0


@_alone()
def reset() -> int:
    """Forgets the stack."""
    Stack().reset()
    say("stopped and forgotten")
    return 0


def logs() -> int:
    """Follows the logs while there is somebody to write them."""
    stack = Stack()
    if stack.serving:
        stack.logs()
    say("neither service runs; `make up` starts them")
    return 0


def moved(addresses: Addresses) -> list[str]:
    """What a shell that knows another address has to do, for each service that has not its usual port."""
    usual = {INVENTORY_PORT: addresses.inventory, DELIVERY_PORT: addresses.delivery}
    return [
        f"{port} is somebody else's now: `source {LOCAL.name}/env` again in shells that are open"
        for port, address in usual.items()
        if not address.endswith(f":{port}")
    ]


def _examples(addresses: Addresses) -> list[str]:
    grpcurl = ".venv/bin/grpcurl -plaintext"
    stock = """'{"sku": "TEA-500", "quantity": 40, "request_id": "first"}'"""
    return [
        f"{grpcurl} {addresses.inventory} list",
        f"{grpcurl} -d {stock} {addresses.inventory} holdfast.inventory.v1.InventoryService/CreateStock",
        f"{grpcurl} {addresses.delivery} holdfast.ops.v1.OpsService/GetServerInfo",
    ]
