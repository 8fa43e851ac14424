"""What the use cases need while the old application still writes packages."""

from collections.abc import Collection
from typing import Protocol


class LegacyWrites(Protocol):
    """What the old application wrote to packages, and what of it is taken over.

    Taken over are the orders that it listed, and legs of packages that it moved. Its writes are marked by the
    engine, so that none is missed.
    """

    async def moved(self, size: int) -> list[str]:
        """Packages with a timeline that were moved elsewhere than their last event led, by package_sn."""

    async def follow(self, size: int, moved_by_hand: Collection[str] = ()) -> int:
        """Follows so many writes, oldest first; leaves what is locked, or `moved` and not named here, for later."""

    async def follow_orders(self, order_ids: Collection[int]) -> None:
        """Follows each write that lists one of these orders. The orders are locked; waits for other locks."""
