"""What Prometheus is told of batches."""

from collections.abc import Sequence

from servicekit.telemetry.metrics import Metrics

_WISHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class BatchMetrics:
    """The sizes and times of one group commit's batches."""

    def __init__(self, metrics: Metrics) -> None:
        self._wishes = metrics.histogram(
            "holdfast_group_commit_batch_wishes", "How many wishes a batch took up.", _WISHES
        )
        self._seconds = metrics.histogram(
            "holdfast_group_commit_batch_seconds", "How long a batch took, its answers included."
        )
        self._waited = metrics.histogram(
            "holdfast_group_commit_wait_seconds",
            "How long a wish had waited when a batch took it up.",
        )

    def batch_ended(self, waits: Sequence[float], seconds: float) -> None:
        """Counts a batch of wishes that had waited for so many seconds each."""
        self._wishes(len(waits))
        self._seconds(seconds)
        for wait in waits:
            self._waited(wait)
