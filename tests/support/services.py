"""Both services as real processes over real databases, to be killed, stopped, starved and started again."""

import asyncio
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path

import grpc

from servicekit.access.certificates import Pems
from servicekit.process.health import check
from tests.support.clocks import Clock, Program
from tests.support.databases import fresh_database
from tests.support.forks import ForkedCommand, run_command

START_SECONDS = 30.0
_ASKED = count()


def free_port() -> int:
    """A port of the loopback interface that nobody has, and that stays free until somebody asks for it by number.

    It lies below those that the system gives away by itself, and other processes of a run begin elsewhere.
    """
    while True:
        port = 10_000 + (os.getpid() * 97 + next(_ASKED)) % 20_000
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return port


class ServiceProcess:
    """One service process on a fixed address; it may be started again and again."""

    def __init__(
        self, service: str, environment: Mapping[str, str], log: Path, port: int | None = None
    ) -> None:
        self.service = service
        self.port = port or free_port()
        self.log = log
        self.environment = {**environment, f"{service.upper()}_LISTEN": f"127.0.0.1:{self.port}"}
        self._process: ForkedCommand | Program | None = None
        self.pems: Pems | None = None
        """What its callers show, where it speaks mTLS."""
        self.clock: Clock | None = None
        """Its own, where it has one from its next start on."""

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self.port}"

    def launch(self, **environment: str) -> None:
        """Starts the process; does not wait."""
        everything = {**os.environ, **self.environment, **environment}
        if self.clock is None:
            self._process = ForkedCommand(self.service, ["serve"], everything, self.log, self.log)
        else:
            everything.update(self.clock.environment)
            self._process = Program(self.service, ["serve"], everything, self.log)

    async def start(self, **environment: str) -> None:
        """Starts the process and waits until it says SERVING."""
        self.launch(**environment)
        await self.serving()

    async def serving(self) -> None:
        """Waits until it says SERVING."""
        deadline = time.monotonic() + START_SECONDS
        while not await check(self.address, self.pems):
            if not self.running or time.monotonic() > deadline:
                raise AssertionError(f"{self.service} is not serving:\n{self.log.read_text()[-4000:]}")
            await asyncio.sleep(0.05)

    async def listening(self) -> None:
        """Waits until it takes connections, whatever it says of itself."""
        async with asyncio.timeout(START_SECONDS), grpc.aio.insecure_channel(self.address) as channel:
            await channel.channel_ready()

    @property
    def running(self) -> bool:
        """Whether the process is alive."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The number of the process."""
        assert self._process is not None
        return self._process.pid

    def send(self, number: signal.Signals) -> None:
        """Sends a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    async def ended(self, seconds: float = 30.0) -> int:
        """Waits for the end and answers the exit code."""
        assert self._process is not None
        return await self._process.ended(seconds)

    async def kill(self) -> None:
        """Ends it with SIGKILL."""
        if self.running:
            self.send(signal.SIGKILL)
            await self.ended()

    async def terminate(self) -> int:
        """Ends it with SIGTERM and answers the exit code."""
        self.send(signal.SIGTERM)
        return await self.ended()


class Pair:
    """One inventory and one delivery service that know each other, over fresh databases."""

    def __init__(self, inventory_url: str, delivery_url: str, folder: Path) -> None:
        self.inventory_url = inventory_url
        self.delivery_url = delivery_url
        self._folder = folder
        self._processes: list[ServiceProcess] = []
        self.inventory = self.another_inventory()
        self.delivery = self.another_delivery()

    def another_inventory(self) -> ServiceProcess:
        """One more inventory server over the same database; not started."""
        environment = {"INVENTORY_DATABASE_URL": self.inventory_url, "INVENTORY_DRAIN_PAUSE_SECONDS": "0.2"}
        return self._remembered(ServiceProcess("inventory", environment, self._log("inventory")))

    def another_delivery(self, inventory_address: str = "") -> ServiceProcess:
        """One more delivery server over the same database; not started."""
        environment = {
            "DELIVERY_DATABASE_URL": self.delivery_url,
            "DELIVERY_INVENTORY_ADDRESS": inventory_address or self.inventory.address,
            "DELIVERY_EVIDENCE_URL": str(self._folder / "evidence"),
            "DELIVERY_DRAIN_PAUSE_SECONDS": "0.2",
            "DELIVERY_RELAY_LEASE_SECONDS": "4",
        }
        return self._remembered(ServiceProcess("delivery", environment, self._log("delivery")))

    async def start(self) -> None:
        """Starts both services, or whichever of the two is down."""
        down = [process for process in (self.inventory, self.delivery) if not process.running]
        await asyncio.gather(*(process.start() for process in down))

    async def kill(self) -> None:
        """Ends every process."""
        for process in self._processes:
            await process.kill()

    def channel(self, *replicas: ServiceProcess) -> grpc.aio.Channel:
        """A channel to one of the processes; the calls of one to several of them are made in turn."""
        options: list[tuple[str, int | str]] = [("grpc.use_local_subchannel_pool", 1)]
        if len(replicas) > 1:
            # Not for one: in turn, calls to a server that comes back fail until the next try to connect.
            options.append(("grpc.service_config", '{"loadBalancingConfig": [{"round_robin": {}}]}'))
        addresses = ",".join(process.address for process in replicas)
        return grpc.aio.insecure_channel(f"ipv4:{addresses}", options=options)

    def _log(self, service: str) -> Path:
        return self._folder / f"{service}-{len(self._processes)}.log"

    def _remembered(self, process: ServiceProcess) -> ServiceProcess:
        self._processes.append(process)
        return process


async def migrate(service: str, url: str) -> None:
    """Brings a database to the schema that the service expects, as an operator would."""
    done = await run_command(service, "migrate", "upgrade", **{f"{service.upper()}_DATABASE_URL": url})
    assert done.code == 0, done.errors


@asynccontextmanager
async def fresh_pair(delivery_engine: str, folder: Path) -> AsyncIterator[Pair]:
    """Both services over fresh, migrated databases, not started."""
    async with fresh_database("postgres") as inventory_url, fresh_database(delivery_engine) as delivery_url:
        await asyncio.gather(migrate("inventory", inventory_url), migrate("delivery", delivery_url))
        pair = Pair(inventory_url, delivery_url, folder)
        try:
            yield pair
        finally:
            await pair.kill()


@asynccontextmanager
async def running_pair(delivery_engine: str, folder: Path) -> AsyncIterator[Pair]:
    """The same, serving."""
    async with fresh_pair(delivery_engine, folder) as pair:
        await pair.start()
        yield pair
