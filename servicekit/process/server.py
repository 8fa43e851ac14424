"""A gRPC server around one service: what it needs to start, to tell its health, and to end without losing work."""

import asyncio
import inspect
import math
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import grpc
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from servicekit import traces
from servicekit.access.security import Security
from servicekit.operations import channelz
from servicekit.operations.diagnostics import Probe
from servicekit.operations.watching import watchers
from servicekit.polling import Poller
from servicekit.process.health import SERVICE_NAME as HEALTH
from servicekit.process.health import Health
from servicekit.process.listeners import MOST_CALLS, CannotListen, bind, listener
from servicekit.process.readiness import Readiness
from servicekit.rpc import reflection
from servicekit.rpc.calls import Call
from servicekit.rpc.error_status import ErrorStatuses
from servicekit.rpc.interceptor import CallInterceptor, plain_caller
from servicekit.rpc.under_way import UnderWay
from servicekit.schema.migrations import Schema
from servicekit.settings import for_this_machine_only
from servicekit.tasks import Tasks
from servicekit.telemetry.metrics import Metrics, MetricsEndpoint

log = structlog.get_logger("server")

MOST_ENDING_SECONDS, MOST_CLOSING_SECONDS = 20.0, 5.0
"""For all that is under way, and then for what is to be closed: with the pause before, a stop is over before the 30 s
that Kubernetes gives it."""
ANSWER_SECONDS = 5.0
"""How long callers may still take what they were sent once no call is at work any more; gRPC itself would wait for one
that takes nothing as long as the grace lasts."""

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


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
    admin_listen: str = ""
    """`host:port` where operators find everything, which others find at `listen` without what is for operators:
    `admin_services`, reflection and channelz. Empty is `listen` too."""
    admin_services: tuple[str, ...] = ()
    """Full names of the gRPC services that `register_admin` adds."""
    register_admin: Callable[[grpc.aio.Server], None] = lambda server: None
    security: Security | None = None
    """mTLS at both addresses; None is plaintext."""
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
    """How long calls under way may still take, and after them the work that they left, and the workers: longer than any
    call may last but those that `wake_waiters` ends, and a photo on its way to a caller who reads slowly. Calls are
    given less where none is at work and nobody takes what it was sent."""


class Server:
    """One running service. `start` answers the port, `stop` the question whether all work ended by itself."""

    admin_port: int
    """Where operators find it, once it has started."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._health = Health((*service.grpc_services, *service.admin_services))
        self._readiness = Readiness(service.engine, service.schema, self._health)
        self._looking = [Poller("readiness", self._readiness.look, idle_seconds=1.0)]
        self._draining = asyncio.Event()
        self._under_way = UnderWay()
        self._polling: list[asyncio.Task[None]] = []
        self._endpoint: MetricsEndpoint | None = None
        if service.metrics_listen:
            self._looking += watchers(service.metrics, service.probes, service.diagnose_seconds)
            service.metrics.workers([*self._looking, *service.pollers])
            service.metrics.gauge(
                "holdfast_serving", "1 while health says SERVING, else 0.", lambda: self._health.serving
            )
            service.metrics.gauge("holdfast_calls_open", "Calls under way.", channelz.open_calls)
            service.metrics.gauge(
                "holdfast_tasks",
                "Pieces of work under way that a caller's departure does not stop.",
                lambda: len(service.tasks),
            )
            service.metrics.gauge(
                "holdfast_calls_open_max", "How many gRPC lets in at an address.", lambda: MOST_CALLS
            )
            for name in (*service.grpc_services, *service.admin_services):
                service.metrics.serves(name)
        self._admin_listen = service.admin_listen or service.listen
        self._servers = {
            address: listener(self._interceptors(), self._longest_seconds(address))
            for address in dict.fromkeys((service.listen, self._admin_listen))
        }

    def _longest_seconds(self, address: str) -> float:
        """How long the longest call that has an end may last at an address."""
        service = self._service
        names = (*service.grpc_services, *(service.admin_services if address == self._admin_listen else ()))
        lasting = (
            seconds
            for method, seconds in service.long_calls.items()
            if method.startswith(tuple(f"/{name}/" for name in names)) and seconds < math.inf
        )
        return max(lasting, default=0.0)

    def _interceptors(self) -> list[grpc.aio.ServerInterceptor]:
        """Of one address: they remember its methods, and would answer at one address for another."""
        service, security = self._service, self._service.security
        calls = CallInterceptor(
            service.statuses,
            self._admit,
            service.long_calls,
            service.metrics.call_ended,
            security.caller if security else plain_caller,
            self._under_way,
        )
        return [*traces.interceptors(), calls]

    async def start(self) -> int:
        """Looks at the database once, listens and starts the workers. Raises CannotListen."""
        ports = {address: self._bind(server, address) for address, server in self._servers.items()}
        if self._service.metrics_listen:
            try:
                self._endpoint = MetricsEndpoint(self._service.metrics, self._service.metrics_listen)
            except OSError as error:
                raise CannotListen(f"cannot listen on {self._service.metrics_listen}") from error
        # Who calls in the first moment is not refused for want of a look.
        await self._readiness.look()
        for server in self._servers.values():
            await server.start()
        self._polling = [
            *(asyncio.create_task(poller.run()) for poller in self._looking),
            # A database that this build was not written for, or that is being adopted, is nobody's to work on.
            *(asyncio.create_task(poller.run(self._readiness.fit)) for poller in self._service.pollers),
        ]
        self.admin_port = ports[self._admin_listen]
        return ports[self._service.listen]

    def _bind(self, server: grpc.aio.Server, address: str) -> int:
        service = self._service
        service.register(server)
        self._health.register(server)
        if address == self._admin_listen:
            service.register_admin(server)
            channelz.register(server)
            names = (*service.grpc_services, *service.admin_services, HEALTH, channelz.SERVICE_NAME)
            reflection.register(server, names, self._draining)
        return bind(server, address, service.security)

    def _admit(self, call: Call) -> None:
        if self._service.security:
            self._service.security.admit(call)
        self._readiness.admit(call.method)

    async def stop(self) -> bool:
        """Health first, then calls under way, then work that outlives calls, then workers, then the engine.

        Ends in about 28 s after the pause, whatever hangs.
        """
        self._readiness.drain()
        await asyncio.sleep(self._service.drain_pause_seconds)
        for poller in (*self._looking, *self._service.pollers):
            poller.stop()
        self._service.wake_waiters()
        self._draining.set()
        self._health.end_watches()
        ends = time.monotonic() + MOST_ENDING_SECONDS

        def left() -> float:
            return max(0.0, min(self._service.grace_seconds, ends - time.monotonic()))

        await self._end_calls(left())
        clean = await self._service.tasks.drain(left())
        _, late = await asyncio.wait(self._polling, timeout=left())
        for task in late:
            task.cancel()
        try:
            async with asyncio.timeout(MOST_CLOSING_SECONDS):
                # A gather would not be cut short: it waits for all that it has cancelled.
                ended, _ = await asyncio.wait(self._polling)
                await asyncio.gather(*ended, return_exceptions=True)
                clean = await self._close() and clean
        except TimeoutError:
            log.warning("something would not be closed")
            clean = False
        return clean and not late

    async def _end_calls(self, seconds: float) -> None:
        """Lets calls end, for so many seconds at most, and cuts off who takes nothing of what it was sent."""
        ending = asyncio.gather(*(server.stop(seconds) for server in self._servers.values()))
        still = asyncio.create_task(self._under_way.still(ANSWER_SECONDS))
        await asyncio.wait((ending, still), return_when=asyncio.FIRST_COMPLETED)
        still.cancel()
        await asyncio.gather(ending, *(server.stop(None) for server in self._servers.values()))

    async def _close(self) -> bool:
        """Whether everything could be closed; what cannot keeps nothing else open."""
        closing = [*self._service.close, self._service.engine.dispose]
        if self._endpoint is not None:
            closing.append(partial(asyncio.to_thread, self._endpoint.close))
        closed = True
        for close in closing:
            try:
                result = close()
                if inspect.isawaitable(result):
                    await result
            except Exception as error:
                log.error("something could not be closed", exc_info=error)
                closed = False
        return closed


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
    log.info(
        "listening",
        service=service.name,
        address=service.listen,
        port=port,
        admin_port=server.admin_port,
        security="mTLS" if service.security else "plaintext",
    )
    warn_of_plaintext(service)
    await stopping.wait()
    log.info("draining", service=service.name)
    clean = await server.stop()
    log.info("stopped", service=service.name, clean=clean)
    return 0 if clean else 1


def warn_of_plaintext(service: Service) -> None:
    """Where other machines are served without mTLS, whoever reaches the address is believed whatever it says it is.

    Metrics have no mTLS at all.
    """
    for address in {service.listen, service.admin_listen} - {""}:
        if not (service.security or for_this_machine_only(address)):
            log.warning("other machines are served in plaintext, and believed", address=address)
    if service.metrics_listen and not for_this_machine_only(service.metrics_listen):
        log.warning(
            "other machines read the metrics in plaintext, whoever asks", address=service.metrics_listen
        )
