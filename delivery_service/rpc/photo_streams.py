"""How many photos may be on their way at once."""

from collections.abc import Iterator
from contextlib import contextmanager

from delivery_service.domain.errors import TooManyStreams

# Each may hold a whole photo, 4 MiB, in memory.
MOST_STREAMS = 64


class PhotoStreams:
    """Counts the photos on their way and refuses more than there is room for."""

    def __init__(self) -> None:
        self._open = 0

    @contextmanager
    def one_more(self) -> Iterator[None]:
        """Raises TooManyStreams."""
        if self._open >= MOST_STREAMS:
            raise TooManyStreams
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1
