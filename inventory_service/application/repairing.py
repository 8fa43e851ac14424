"""What every repair shares: for whom it is made, and how it says that there is none."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Operator:
    """Who has repairs made, in which request; `trace` finds the call in the logs."""

    caller: str
    request_id: str
    trace: str


class NothingToRepair(Exception):
    """Under the locks the records agree, or what disagreed is gone."""


class RepairByHand(Exception):
    """No repair is known to be right; `str()` says what people can do."""
