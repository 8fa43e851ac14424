"""A server's looks at itself, for Prometheus: a scrape reads what was seen last, and never waits."""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from servicekit.operations.diagnostics import PROBE_SECONDS, Diagnosis, Probe, diagnose
from servicekit.polling import Poller
from servicekit.telemetry.metrics import Metrics

LOOP_SECONDS = 0.25
"""How long the event loop is given before it is looked whether it comes back in time."""


def watchers(metrics: Metrics, probes: Mapping[str, Probe], seconds: float) -> list[Poller]:
    """Pollers that look while the server runs, whatever its database: at the probes every so many seconds."""
    diagnoses = LastDiagnoses(probes, seconds)
    metrics.registry.register(diagnoses)
    late = metrics.histogram(
        "holdfast_event_loop_lag_seconds",
        f"How late the event loop came back to what waited for {LOOP_SECONDS} s.",
    )
    loop = asyncio.get_running_loop()
    metrics.gauge(
        "holdfast_event_loop_tasks",
        "Tasks of the event loop that are not over.",
        lambda: len(asyncio.all_tasks(loop)),
    )
    return [
        Poller("diagnoses", diagnoses.look, idle_seconds=seconds),
        Poller("loop_lag", lambda: _look_at_loop(late), idle_seconds=0),
    ]


class LastDiagnoses(Collector):
    """What each probe said last, and the figures that it saw."""

    def __init__(self, probes: Mapping[str, Probe], seconds: float) -> None:
        """`seconds` is the pause between looks; what is two of them old is forgotten: nobody knows it any more."""
        self._probes = probes
        self._lasting = 2 * seconds + PROBE_SECONDS
        self._seen: Mapping[str, Diagnosis] = {}
        self._until = 0.0

    async def look(self) -> bool:
        """Asks the probes beside each other; a poller's step."""
        self._seen = await diagnose(self._probes)
        self._until = time.monotonic() + self._lasting
        return False

    def collect(self) -> Iterator[Metric]:
        """For the registry, at a scrape."""
        if time.monotonic() > self._until:
            return
        severities = GaugeMetricFamily(
            "holdfast_diagnosis_severity",
            "What a probe of GetDiagnostics says: 1 OK, 2 WARN, 3 FAIL.",
            labels=("probe",),
        )
        for probe, diagnosis in self._seen.items():
            severities.add_metric((probe,), diagnosis.severity)
            for figure, value in diagnosis.figures.items():
                yield GaugeMetricFamily(figure.name, figure.help, value)
        yield severities


async def _look_at_loop(late: Callable[[float], None]) -> bool:
    due = time.monotonic() + LOOP_SECONDS
    await asyncio.sleep(LOOP_SECONDS)
    late(max(0.0, time.monotonic() - due))
    return True
