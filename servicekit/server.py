"""A gRPC server around one service: what it needs to start, to tell its health, and to end without losing work."""

import asyncio
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import grpc
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from servicekit import reflection, traces
from servicekit.diagnostics import Probe
from servicekit.error_status import ErrorStatuses
from servicekit.health import Health
from servicekit.interceptor import CallInterceptor
from servicekit.metrics import Metrics, MetricsEndpoint
from servicekit.migrations import Schema
from servicekit.polling import Poller
from servicekit.readiness import Readiness
from servicekit.tasks import Tasks
from servicekit.watching import watchers

log = structlog.get_logger("server")

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_OPTIONS = [
    # Two servers on one port would share its calls without a word.
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", 1024 * 1024),
    ("grpc.max_metadata_size", 8 * 1024),
    ("grpc.max_concurrent_streams", 1000),
    # By default gRPC cancels calls without a word once a thousand and more wait for us to take them up.
    ("grpc.server.max_pending_requests", 8_000),
    ("grpc.server.max_pending_requests_hard_limit", 16_000),
    # The counterpart of the keepalive that clients are advised to use.
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
]


class CannotListen(Exception):
    """The address is taken or is none of this machine's."""


@dataclass
class Service:
    """What bootstrap hands over: everything that `Server` starts and ends."""

    name: str
    """The service's short name, such as "inventory"."""
    grpc_services: tuple[str, ...]
    """Full names of the gRPC services that `register` adds; health and reflection answer for these."""
    listen: str
    """`host:port`; port 0 takes a free one."""
    engine: AsyncEngine
    schema: Schema
    statuses: ErrorStatuses
    register: Callable[[grpc.aio.Server], None]
    tasks: Tasks
    pollers: Sequence[Poller] = ()
    metrics: Metrics = field(default_factory=Metrics)
    metrics_listen: str = ""
    """`host:port` of the endpoint for Prometheus; empty is none."""
    probes: Mapping[str, Probe] = field(default_factory=dict)
    """What GetDiagnostics asks; while there is an endpoint for Prometheus, the server asks it too."""
    diagnose_seconds: float = 15.0
    """The pause between its doing so."""
    long_calls: Mapping[str, float] = field(default_factory=dict)
    """Methods, by full name, that may last so many seconds: more than any other call."""
    wake_waiters: Callable[[], None] = lambda: None
    """Called when the drain begins, so that calls that only wait answer at once and long ones end."""
    close: Sequence[Callable[[], object]] = field(default_factory=list)
    """Called last; an awaitable result is awaited."""
    drain_pause_seconds: float = 1.0
    """How long balancers get to notice NOT_SERVING before new calls are refused."""
    grace_seconds: float = 12.0
    """How long calls under way may still take: longer than any may last but those that `wake_waiters` ends, and a
    photo on its way to a caller who reads slowly."""


class Server:
    """One running service. `start` answers the port, `stop` the question whether all work ended by itself."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._health = Health(service.grpc_services)
        self._readiness = Readiness(service.engine, service.schema, self._health)
        self._looking = [Poller("readiness", self._readiness.look, idle_seconds=1.0)]
        self._polling: list[asyncio.Task[None]] = []
        self._endpoint: MetricsEndpoint | None = None
        if service.metrics_listen:
            self._looking += watchers(service.metrics, service.probes, service.diagnose_seconds)
            service.metrics.workers([*self._looking, *service.pollers])
            service.metrics.gauge(
                "holdfast_serving", "1 while health says SERVING, else 0.", lambda: self._health.serving
            )
        self._server = grpc.aio.server(
            interceptors=[
                *traces.interceptors(),
                CallInterceptor(
                    service.statuses, self._readiness.admit, service.long_calls, service.metrics.call_ended
                ),
            ],
            options=_OPTIONS,
        )

    async def start(self) -> int:
        """Listens, looks at the database once and starts the workers. Raises CannotListen."""
        self._service.register(self._server)
        self._health.register(self._server)
        reflection.register(self._server, (*self._service.grpc_services, "grpc.health.v1.Health"))
        try:
            port = self._server.add_insecure_port(self._service.listen)
        except RuntimeError as error:
            raise CannotListen(f"cannot listen on {self._service.listen}") from error
        if self._service.metrics_listen:
            try:
                self._endpoint = MetricsEndpoint(self._service.metrics, self._service.metrics_listen)
            except OSError as error:
                raise CannotListen(f"cannot listen on {self._service.metrics_listen}") from error
        await self._health.set(False)
        await self._server.start()
        await self._readiness.look()
        self._polling = [
            *(asyncio.create_task(poller.run()) for poller in self._looking),
            # A database that this build was not written for, or that is being adopted, is nobody's to work on.
            *(asyncio.create_task(poller.run(self._readiness.fit)) for poller in self._service.pollers),
        ]
        return port

    async def stop(self) -> bool:
        """Health first, then calls under way, then work that outlives calls, then workers, then the engine."""
        await self._readiness.drain()
        await asyncio.sleep(self._service.drain_pause_seconds)
        for poller in (*self._looking, *self._service.pollers):
            poller.stop()
        self._service.wake_waiters()
        self._health.end_watches()
        await self._server.stop(self._service.grace_seconds)
        clean = await self._service.tasks.drain(self._service.grace_seconds)
        _, late = await asyncio.wait(self._polling, timeout=self._service.grace_seconds)
        for task in late:
            task.cancel()
        await asyncio.gather(*self._polling, return_exceptions=True)
        for close in self._service.close:
            result = close()
            if asyncio.iscoroutine(result):
                await result
        await self._service.engine.dispose()
        if self._endpoint is not None:
            await asyncio.to_thread(self._endpoint.close)
        return clean and not late


async def serve(service: Service) -> int:
    """Serves until SIGTERM or SIGINT, drains, and answers the exit code: 0 when nothing had to be cut short.

    A second signal ends the process at once.
    """
    server = Server(service)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop() -> None:
        stopping.set()
        for number in STOP_SIGNALS:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)

    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, stop)
    port = await server.start()
    log.info("listening", service=service.name, address=service.listen, port=port, security="plaintext")
    await stopping.wait()
    log.info("draining", service=service.name)
    clean = await server.stop()
    log.info("stopped", service=service.name, clean=clean)
    return 0 if clean else 1
