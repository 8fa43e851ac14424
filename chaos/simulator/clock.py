"""Time that passes when it is told to."""

from datetime import UTC, datetime, timedelta


class Clock:
    """The time of both databases."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def wait(self, seconds: float) -> None:
        """Lets so many seconds pass."""
        self.now += timedelta(seconds=seconds)
