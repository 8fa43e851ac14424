"""How a command reaches a service that runs, and as whom."""

import argparse
import sys
from collections.abc import Awaitable, Callable

import grpc
from holdfast.inventory.v1 import inventory_pb2_grpc

from inventory_service.settings import Client
from servicekit.access.certificates import CertificatesInvalid, open_channel
from servicekit.access.security import certificates
from servicekit.rpc.calls import ROLES

MOST_SECONDS = 3600.0
FAILED = 2
"""The exit code of a command that was used wrongly, could not reach the service or was cut off."""


class Connection:
    """The service's stub, its address, and the metadata that names the caller."""

    def __init__(self, channel: grpc.aio.Channel, address: str, actor: tuple[str, str]) -> None:
        self.address = address
        self.stub = inventory_pb2_grpc.InventoryServiceStub(channel)
        self.metadata = (("actor-role", actor[0]), ("actor-id", actor[1]))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options that say where the service is and who calls."""
    parser.add_argument(
        "--address", help="host:port of the service (default: INVENTORY_ADDRESS, else 127.0.0.1:7411)"
    )
    parser.add_argument(
        "--actor",
        type=_actor,
        default=("system", "operator"),
        metavar="ROLE:ID",
        help="in whose name, such as merchant:7 (default system:operator)",
    )


async def call(
    arguments: argparse.Namespace, settings: Client, work: Callable[[Connection], Awaitable[int]], repeat: str
) -> int:
    """Does the work over a channel and answers its exit code; FAILED where the service does not answer.

    `repeat` tells the operator what to do then.
    """
    address = arguments.address or settings.address
    try:
        own = certificates(settings)
    except CertificatesInvalid as invalid:
        print(f"{arguments.command} failed: {invalid}", file=sys.stderr)
        return FAILED
    async with open_channel(address, own.current() if own else None) as channel:
        try:
            return await work(Connection(channel, address, arguments.actor))
        except grpc.aio.AioRpcError as error:
            print(f"{arguments.command} failed at {address}: {_told(error)}", file=sys.stderr)
            if error.code() is not grpc.StatusCode.INVALID_ARGUMENT:
                print(repeat, file=sys.stderr)
            return FAILED


def _told(error: grpc.aio.AioRpcError) -> str:
    return f"{error.details()} ({error.code().name})"


def _actor(written: str) -> tuple[str, str]:
    role, _, actor_id = written.partition(":")
    if role not in ROLES or not actor_id:
        raise argparse.ArgumentTypeError(f"must be ROLE:ID, the role one of {', '.join(ROLES)}")
    return role, actor_id
