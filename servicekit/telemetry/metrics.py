"""What a service tells Prometheus: its calls, by method and code, how long they took, and what the process uses."""

import os
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version

from google.protobuf import descriptor_pool
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Metric,
    ProcessCollector,
    start_http_server,
)
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy.ext.asyncio import AsyncEngine

from servicekit.polling import Poller

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Bounds of the buckets of a histogram of durations."""


class Metrics:
    """The counts of one server, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        build = Gauge(
            "holdfast_build_info", "The build that runs.", ("version", "commit"), registry=self.registry
        )
        build.labels(version("holdfast"), os.environ.get("HOLDFAST_COMMIT", "")).set(1)
        self._calls = Counter(
            "holdfast_calls", "Calls that ended, by status code.", ("method", "code"), registry=self.registry
        )
        self._seconds = Histogram(
            "holdfast_call_seconds",
            "How long calls took.",
            ("method",),
            buckets=SECONDS,
            registry=self.registry,
        )
        # To find a child by its labels costs more than to count with it.
        self._of_calls: dict[tuple[str, str], tuple[Counter, Histogram]] = {}

    def call_ended(self, method: str, code: str, seconds: float) -> None:
        """Counts a call of one of this server's methods."""
        of_call = self._of_calls.get((method, code))
        if of_call is None:
            of_call = self._calls.labels(method, code), self._seconds.labels(method)
            self._of_calls[method, code] = of_call
        count, duration = of_call
        count.inc()
        duration.observe(seconds)

    def serves(self, service: str) -> None:
        """Begins the counts of faults of a service's methods at 0: from nothing to 1 is no increase to Prometheus."""
        for method in descriptor_pool.Default().FindServiceByName(service).methods_by_name:
            self._calls.labels(f"/{service}/{method}", "INTERNAL")

    def gauge(self, name: str, help: str, read: Callable[[], float]) -> None:
        """Adds what this process knows at any time. `read` is called by a thread at each scrape, and must not fail."""
        Gauge(name, help, registry=self.registry).set_function(read)

    def histogram(self, name: str, help: str, buckets: Sequence[float] = SECONDS) -> Callable[[float], None]:
        """Adds a histogram; answers the function that it is told each observation by."""
        return Histogram(name, help, buckets=buckets, registry=self.registry).observe

    def pool(self, engine: AsyncEngine, waiting: Callable[[], int]) -> None:
        """Adds the connections of calls; `waiting` answers how much work waits for one."""
        self.gauge(
            "holdfast_pool_connections_max",
            "Connections to the database that calls share.",
            lambda: engine.pool.size(),  # type: ignore[attr-defined]
        )
        self.gauge(
            "holdfast_pool_connections_in_use",
            "Of these, those in use.",
            lambda: engine.pool.checkedout(),  # type: ignore[attr-defined]
        )
        self.gauge("holdfast_pool_waiting", "Pieces of work that wait for a connection.", waiting)

    def workers(self, pollers: Sequence[Poller]) -> None:
        """Adds how often a step of each worker failed."""
        self.registry.register(_Failures(pollers))


class _Failures(Collector):
    def __init__(self, pollers: Sequence[Poller]) -> None:
        self._pollers = pollers

    def collect(self) -> Iterator[Metric]:
        failures = CounterMetricFamily(
            "holdfast_worker_failures",
            "Steps of a worker that failed and were tried again.",
            labels=("worker",),
        )
        for poller in self._pollers:
            failures.add_metric((poller.name,), poller.failed)
        yield failures


class MetricsEndpoint:
    """GET /metrics over HTTP, answered by threads beside the event loop, so that a stuck loop can still be seen."""

    def __init__(self, metrics: Metrics, listen: str) -> None:
        """Begins at once at `host:port`. Raises OSError where it is taken or none of this machine's."""
        host, _, port = listen.rpartition(":")
        self._server, self._thread = start_http_server(int(port), host.strip("[]"), metrics.registry)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_port)

    def close(self) -> None:
        """Ends it; a request under way is answered."""
        self._server.shutdown()
        self._server.server_close()
