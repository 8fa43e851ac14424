"""What the numbers of the legacy packages mean, in both of the ways in which they were used."""

from delivery_service.adoption.run import Dialect

# prepare_status of each dialect, and what it is in ours. NULL is PENDING in both and stays NULL, as the old
# application writes it; -1 is this service's own word for it.
STATUSES: dict[Dialect, dict[int, int]] = {
    Dialect.PHASE_6: {status: status for status in range(-1, 8)},
    # There a claimed package is a prepared one with a driver; nothing tells that a delivered one is completed.
    Dialect.OF_2025_12: {**{status: status for status in range(-1, 6)}, 6: 0, 7: 5},
}
CLAIMED = 6
"""The status of a claimed package in the dialect of 2025-12."""


def status(column: str, dialect: Dialect) -> str:
    """SQL: a stored status in our numbers; an unknown one stays as it is."""
    changed = {theirs: ours for theirs, ours in STATUSES[dialect].items() if theirs != ours}
    whens = " ".join(f"WHEN {theirs} THEN {ours}" for theirs, ours in changed.items())
    return f"(CASE {column} {whens} ELSE {column} END)" if whens else column


def shipping_type(column: str, dialect: Dialect) -> str:
    """SQL: 0 to a warehouse, 1 to the user; other values stay as they are."""
    if dialect is Dialect.PHASE_6:
        return column
    return f"(CASE {column} WHEN 0 THEN 1 WHEN 1 THEN 0 ELSE {column} END)"
