"""Health as grpc.health.v1 states it, List included; `python -m servicekit.process.health ADDRESS` asks for it."""

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from servicekit.access.certificates import Certificates, CertificatesInvalid, Pems, open_channel
from servicekit.rpc.context import Context

# The published types of this module are behind the library: they lack List.
_messages: Any = health_pb2

MOST_WATCHERS = 1000
"""At once; anybody may watch, for as long as a connection lasts, and must leave the server's calls to others."""

SERVICE_NAME: str = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name


class Health(health_pb2_grpc.HealthServicer):
    """The health of a server and of its services, all the same at any time; NOT_SERVING until told otherwise.

    Not the library's servicer, whose watchers write under the lock that every change waits for: one that does not
    read stops all news.
    """

    def __init__(self, services: tuple[str, ...]) -> None:
        self._names = ("", *services)
        self._serving = False
        self._draining = False
        self._ending = False
        self._watchers = 0
        self._news = asyncio.Event()
        """Set, and replaced, at each change."""

    @property
    def serving(self) -> bool:
        """What whoever asks is told."""
        return self._serving

    def register(self, server: grpc.aio.Server) -> None:
        """Adds grpc.health.v1.Health to the server."""
        health_pb2_grpc.add_HealthServicer_to_server(self, server)

    def set(self, serving: bool) -> None:
        """Tells every watcher, if it is news."""
        if not self._draining and serving != self._serving:
            self._serving = serving
            self._tell()

    def drain(self) -> None:
        """NOT_SERVING for good: later calls of `set` are ignored."""
        self.set(False)
        self._draining = True

    def end_watches(self) -> None:
        """Ends the streams of all watchers, once each has taken the last status: they would last as long as the
        server."""
        self._ending = True
        self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    async def Check(self, request: Any, context: Context) -> Any:
        if request.service not in self._names:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"there is no service {request.service} here")
        return self._answer(request.service)

    async def Watch(self, request: Any, context: Context) -> None:
        """A watcher that reads slowly is told the newest status once it reads, and not what was before."""
        if self._watchers >= MOST_WATCHERS:
            await context.abort(
                grpc.StatusCode.RESOURCE_EXHAUSTED, f"there are {MOST_WATCHERS} watchers: ask Check"
            )
        self._watchers += 1
        try:
            await self._tell_each(request.service, context)
        finally:
            self._watchers -= 1

    async def _tell_each(self, service: str, context: Context) -> None:
        told = None
        while True:
            news = self._news
            answer = self._answer(service)
            if answer != told:
                await context.write(answer)
                told = answer
            elif self._ending:
                return
            else:
                await news.wait()

    async def List(self, request: Any, context: Context) -> Any:
        return _messages.HealthListResponse(statuses={name: self._answer(name) for name in self._names})

    def _answer(self, name: str) -> Any:
        if name not in self._names:
            return _messages.HealthCheckResponse(status=_messages.HealthCheckResponse.SERVICE_UNKNOWN)
        status = "SERVING" if self._serving else "NOT_SERVING"
        return _messages.HealthCheckResponse(status=status)


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
    """Answers the exit code: 0 where the server says SERVING, 2 where the certificates cannot be used."""
    parser = argparse.ArgumentParser("python -m servicekit.process.health")
    parser.add_argument("address", help="host:port")
    parser.add_argument(
        "--tls", nargs=2, type=Path, metavar=("FOLDER", "CA"), help="ask over mTLS with these"
    )
    arguments = parser.parse_args()
    try:
        pems = Certificates(*arguments.tls).current() if arguments.tls else None
    except CertificatesInvalid as invalid:
        parser.error(str(invalid))
    return 0 if asyncio.run(check(arguments.address, pems)) else 1


if __name__ == "__main__":
    sys.exit(main())
