"""The contract's enum values and the domain's words, which bear the same names."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, TypeVar

from holdfast.inventory.v1 import movement_pb2, reservation_pb2, stock_pb2

from inventory_service.domain.movement import MovementReason
from inventory_service.domain.reservation import ReservationState
from inventory_service.domain.stock import Platform, StockStatus

Word = TypeVar("Word", bound=StrEnum)


def _values(enum: Any, prefix: str, words: type[Word]) -> Mapping[int, Word]:
    return {enum.Value(f"{prefix}_{word.name}"): word for word in words}


STATUSES = _values(stock_pb2.StockStatus, "STOCK_STATUS", StockStatus)
PLATFORMS = _values(stock_pb2.Platform, "PLATFORM", Platform)
REASONS = _values(movement_pb2.MovementReason, "MOVEMENT_REASON", MovementReason)
STATES = _values(reservation_pb2.ReservationState, "RESERVATION_STATE", ReservationState)


def number(values: Mapping[int, Word], word: Word | None) -> Any:
    """The contract's value for a word; 0, unspecified, for None."""
    return 0 if word is None else next(value for value, known in values.items() if known is word)
