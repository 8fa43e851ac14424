"""What an import needs from outside beside the stocks: a memory of the rows it applied and of those it has seen."""

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Protocol
from uuid import UUID


class Imports(Protocol):
    """Which rows of which import were applied, and what each stream under way has named so far."""

    async def claim(self, import_id: str, skus: Sequence[str]) -> Collection[str]:
        """Notes rows as applied by this transaction; answers those that no other one has applied before.

        Waits for a transaction that has one of them in hand.
        """
        ...

    async def list_new(self, import_id: str, skus: Sequence[str]) -> Collection[str]:
        """The rows that were not applied so far."""
        ...

    async def give_back(self, import_id: str, skus: Sequence[str]) -> None:
        """Takes claims of this transaction back: the rows were refused."""
        ...

    async def note_lines(self, stream_id: UUID, lines: Mapping[str, int]) -> Mapping[str, int]:
        """Notes the line of each sku; answers the lines noted earlier for skus that the stream has named before."""
        ...

    async def end_stream(self, stream_id: UUID) -> None:
        """Forgets what the stream has named."""
        ...

    async def forget(self, rows_older_than: timedelta, lines_older_than: timedelta, most: int) -> int:
        """Forgets at most `most` rows, and as many lines of streams that never ended; answers how many in all."""
        ...
