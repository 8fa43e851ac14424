"""The numbers of one stock, and the few ways in which they may change."""

from dataclasses import dataclass, replace
from uuid import UUID

from inventory_service.domain.stock import SELLABLE, StockStatus


@dataclass(frozen=True)
class StockLevel:
    """Units on the shelf and units of them that open reservations hold: 0 <= reserved_quantity <= quantity."""

    stock_id: UUID
    sku: str
    status: StockStatus
    quantity: int
    reserved_quantity: int
    version: int

    @property
    def available_quantity(self) -> int:
        """Units that nobody holds."""
        return self.quantity - self.reserved_quantity

    @property
    def sellable(self) -> bool:
        """Whether its status lets it be reserved."""
        return self.status in SELLABLE

    def hold(self, units: int) -> "StockLevel":
        """Sets available units aside."""
        return self._with(self.quantity, self.reserved_quantity + units)

    def give_back(self, units: int) -> "StockLevel":
        """Makes held units available again."""
        return self._with(self.quantity, self.reserved_quantity - units)

    def sell(self, units: int) -> "StockLevel":
        """Takes held units off the shelf."""
        return self._with(self.quantity - units, self.reserved_quantity - units)

    def adjust(self, delta: int) -> "StockLevel":
        """Adds units to the shelf or takes available ones away."""
        return self._with(self.quantity + delta, self.reserved_quantity)

    def _with(self, quantity: int, reserved_quantity: int) -> "StockLevel":
        if not 0 <= reserved_quantity <= quantity:
            raise ValueError(f"{self.sku} would have {reserved_quantity} of {quantity} units reserved")
        return replace(self, quantity=quantity, reserved_quantity=reserved_quantity)
