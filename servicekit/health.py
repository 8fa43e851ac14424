"""Health as grpc.health.v1 states it, List included; `python -m servicekit.health ADDRESS` asks for it."""

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer as AioHealthServicer

from servicekit.certificates import Certificates, Pems, open_channel
from servicekit.context import Context

# The published types of this module are behind the library: they lack List.
_messages: Any = health_pb2

SERVICE_NAME: str = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name

LAST_WORD_SECONDS = 0.1


class HealthServicer(AioHealthServicer):
    """The library's servicer, with the List method that it lacks, and with watches that can be ended."""

    _server_status: dict[str, int]

    def __init__(self) -> None:
        super().__init__()
        self._ending = asyncio.Event()

    async def Watch(self, request: Any, context: Context) -> None:
        """Streams every change until `end_watches`."""
        watching = asyncio.ensure_future(super().Watch(request, context))
        ending = asyncio.ensure_future(self._ending.wait())
        try:
            await asyncio.wait((watching, ending), return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait((watching,), timeout=LAST_WORD_SECONDS)
        finally:
            watching.cancel()
            ending.cancel()
            await asyncio.gather(watching, ending, return_exceptions=True)

    def end_watches(self) -> None:
        """Ends every watch, once its watcher was told the last status."""
        self._ending.set()

    async def List(self, request: Any, context: Context) -> Any:
        """Answers the status of every service known."""
        answer = _messages.HealthListResponse()
        for name, status in self._server_status.items():
            answer.statuses[name].status = status
        return answer


class Health:
    """The health of a server and of its services, all the same at any time."""

    def __init__(self, services: tuple[str, ...]) -> None:
        self._names = ("", *services)
        self._servicer = HealthServicer()
        self._serving: bool | None = None

    @property
    def serving(self) -> bool:
        """What watchers were told last."""
        return bool(self._serving)

    def register(self, server: grpc.aio.Server) -> None:
        """Adds grpc.health.v1.Health to the server."""
        health_pb2_grpc.add_HealthServicer_to_server(self._servicer, server)

    async def set(self, serving: bool) -> None:
        """Tells every watcher, if it is news."""
        if serving == self._serving:
            return
        self._serving = serving
        status = (
            health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
        )
        for name in self._names:
            await self._servicer.set(name, status)

    async def drain(self) -> None:
        """NOT_SERVING for good: later calls of `set` are ignored."""
        self._serving = False
        await self._servicer.enter_graceful_shutdown()

    def end_watches(self) -> None:
        """Ends the streams of all watchers, which would otherwise last as long as the server."""
        self._servicer.end_watches()


async def check(address: str, pems: Pems | None = None, seconds: float = 2.0) -> bool:
    """Whether the server at this address says SERVING; with certificates, asked over mTLS."""
    async with open_channel(address, pems) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        try:
            answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=seconds)
        except grpc.aio.AioRpcError:
            return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def main() -> int:
    """Answers the exit code: 0 where the server says SERVING."""
    parser = argparse.ArgumentParser("python -m servicekit.health")
    parser.add_argument("address", help="host:port")
    parser.add_argument(
        "--tls", nargs=2, type=Path, metavar=("FOLDER", "CA"), help="ask over mTLS with these"
    )
    arguments = parser.parse_args()
    pems = Certificates(*arguments.tls).current() if arguments.tls else None
    return 0 if asyncio.run(check(arguments.address, pems)) else 1


if __name__ == "__main__":
    sys.exit(main())
