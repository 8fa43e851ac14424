"""What a service tells Prometheus: its calls, by method and code, how long they took, and what the process uses."""

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, start_http_server

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Metrics:
    """The counts of one server, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._calls = Counter(
            "holdfast_calls", "Calls that ended, by status code.", ("method", "code"), registry=self.registry
        )
        self._seconds = Histogram(
            "holdfast_call_seconds",
            "How long calls took.",
            ("method",),
            buckets=_SECONDS,
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
