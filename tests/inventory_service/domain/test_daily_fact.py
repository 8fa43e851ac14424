"""Each reason of a movement has its column."""

from inventory_service.domain.daily_fact import FACT_COLUMNS, FactColumn
from inventory_service.domain.movement import MovementReason


def test_every_reason_counts_in_one_column() -> None:
    assert set(FACT_COLUMNS) == set(MovementReason)
    assert set(FACT_COLUMNS.values()) == set(FactColumn)
