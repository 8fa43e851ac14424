"""What to do where two records of a package disagree. Pure decisions; what people must look at says so."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum, auto

from delivery_service.domain.directory import Driver
from delivery_service.domain.package import Package
from delivery_service.domain.package_event import PackageEvent
from delivery_service.domain.reservation import StockCommand
from delivery_service.domain.settlement import requested
from delivery_service.domain.transitions import concerning
from delivery_service.domain.workflow import PackageState, StockState, Verb

MOST_LOST_EVENTS = 500


class StockRepair(Enum):
    """What brings a package and its hold together again."""

    FINE = auto()
    ASK_AGAIN = auto()
    """Ask for the present hold once more."""
    ASK_ANEW = auto()
    """The hold is gone: ask under the next attempt."""
    EXCHANGE = auto()
    """It holds something else: release it, ask under the next attempt."""
    COMMIT = auto()
    RESERVE_AND_COMMIT = auto()
    """The goods are gone from the shelf and nothing was booked: do so under the next attempt."""
    EXCHANGE_AND_COMMIT = auto()
    RELEASE = auto()
    CLOSE = auto()
    """A package that is cancelled, or whose hold is of something else, was rejected and holds stock after all: release
    it and stay rejected."""
    BY_HAND = auto()
    """Goods were booked out that should not be; only people know where they are."""


WORDS = {
    StockRepair.ASK_AGAIN: "inventory is asked for the hold again",
    StockRepair.ASK_ANEW: "inventory is asked for a new hold",
    StockRepair.EXCHANGE: "the hold is released, inventory is asked for a new one",
    StockRepair.COMMIT: "inventory is told to commit the hold",
    StockRepair.RESERVE_AND_COMMIT: "the goods are held and committed under a new id",
    StockRepair.EXCHANGE_AND_COMMIT: "the hold is released, the goods are held and committed under a new id",
    StockRepair.RELEASE: "inventory is told to release the hold",
    StockRepair.CLOSE: "inventory is told to release the hold",
}

_GONE = (None, "RELEASED", "EXPIRED")


def stock_repair(package: Package, hold: str | None, *, same_lines: bool) -> StockRepair:
    """Compares a package of which no command is under way with its hold's state in inventory, None for none."""
    if package.holds_nothing:
        return StockRepair.FINE
    if package.state is PackageState.CANCELLED:
        return _of_cancelled(package.stock_state, hold)
    if package.state.on_shelf:
        return _on_shelf(package.stock_state, hold, same_lines)
    return _off_shelf(package.stock_state, hold, same_lines)


def _on_shelf(stock: StockState, hold: str | None, same_lines: bool) -> StockRepair:
    if stock is StockState.REJECTED:
        # What inventory holds for it was not refused: the word of whoever holds the goods counts.
        held = hold == "HELD" and same_lines
        return StockRepair.ASK_AGAIN if held else StockRepair.FINE if hold in _GONE else _closed(hold)
    if hold == "COMMITTED":
        return StockRepair.BY_HAND
    if hold == "HELD":
        if not same_lines:
            return StockRepair.EXCHANGE
        return StockRepair.FINE if stock is StockState.HELD else StockRepair.ASK_AGAIN
    if stock is StockState.REQUESTED and hold is None:
        return StockRepair.ASK_AGAIN
    return StockRepair.ASK_ANEW


def _off_shelf(stock: StockState, hold: str | None, same_lines: bool) -> StockRepair:
    if hold in _GONE:
        return StockRepair.RESERVE_AND_COMMIT
    if same_lines:
        settled = hold == "COMMITTED" and stock is StockState.COMMITTED
        return StockRepair.FINE if settled else StockRepair.COMMIT
    return StockRepair.BY_HAND if hold == "COMMITTED" else StockRepair.EXCHANGE_AND_COMMIT


def _of_cancelled(stock: StockState, hold: str | None) -> StockRepair:
    if hold == "COMMITTED":
        return StockRepair.BY_HAND
    if stock is StockState.REJECTED:
        return StockRepair.FINE if hold in _GONE else _closed(hold)
    if stock is StockState.RELEASED and hold in ("RELEASED", "EXPIRED"):
        return StockRepair.FINE
    return StockRepair.RELEASE


def _closed(hold: str | None) -> StockRepair:
    return StockRepair.BY_HAND if hold == "COMMITTED" else StockRepair.CLOSE


@dataclass(frozen=True)
class _Steps:
    """What a repair does: releases the present hold first, asks under the next attempt, leaves the stock in a state
    (None: as it was), sends commands.
    """

    stock_state: StockState | None
    commands: tuple[StockCommand, ...]
    anew: bool = False
    release_first: bool = False


_STEPS = {
    StockRepair.ASK_AGAIN: _Steps(StockState.REQUESTED, (StockCommand.RESERVE,)),
    StockRepair.ASK_ANEW: _Steps(StockState.REQUESTED, (StockCommand.RESERVE,), anew=True),
    StockRepair.EXCHANGE: _Steps(
        StockState.REQUESTED, (StockCommand.RESERVE,), anew=True, release_first=True
    ),
    StockRepair.COMMIT: _Steps(StockState.COMMIT_PENDING, (StockCommand.COMMIT,)),
    StockRepair.RESERVE_AND_COMMIT: _Steps(
        StockState.COMMIT_PENDING, (StockCommand.RESERVE, StockCommand.COMMIT), anew=True
    ),
    StockRepair.EXCHANGE_AND_COMMIT: _Steps(
        StockState.COMMIT_PENDING, (StockCommand.RESERVE, StockCommand.COMMIT), anew=True, release_first=True
    ),
    StockRepair.RELEASE: _Steps(StockState.RELEASE_PENDING, (StockCommand.RELEASE,)),
    StockRepair.CLOSE: _Steps(None, (StockCommand.RELEASE,)),
}


def stock_repaired(
    package: Package, repair: StockRepair, now: datetime
) -> tuple[Package, list[tuple[Package, StockCommand]]]:
    """The package under the repair, and the commands that go out for it, in their order.

    Raises KeyError for what is no repair: FINE and BY_HAND.
    """
    steps = _STEPS[repair]
    changed = requested(package, now) if steps.anew else _changed(package, now)
    if steps.stock_state is StockState.REQUESTED:
        changed = replace(changed, rejection_reason=None, shortages=())
    changed = replace(changed, stock_state=steps.stock_state or package.stock_state)
    first = [(package, StockCommand.RELEASE)] if steps.release_first else []
    return changed, [*first, *((changed, command) for command in steps.commands)]


def _changed(package: Package, now: datetime) -> Package:
    return replace(package, version=package.version + 1, update_time=now)


def leads_to(package: Package, source: PackageState, target: PackageState) -> bool:
    """Whether the package's own way leads, by any number of steps, from one state to the other."""
    reached, found = {source}, {source}
    while found:
        rows = [row for row in concerning(package) if row.target and found & row.sources]
        found = {row.target for row in rows if row.target} - reached
        reached |= found
    return target in reached


def may_have_claimed(package: Package, driver_before: int | None, driver: Driver | None) -> bool:
    """Whether somebody can have given the package to this driver without an event: nobody had it, he may have it."""
    claims = [row for row in concerning(package) if row.verb is Verb.CLAIM and package.state in row.sources]
    return bool(claims) and driver_before is None and driver is not None and driver.active


def lost_events(
    events: Sequence[PackageEvent], state: PackageState, least: int
) -> list[tuple[int, PackageState | None, PackageState]]:
    """(sequence, from, to) for each number that is missing before the last event.

    Where all are lost, there were `least` at least, and they led to `state`.
    """
    lost: list[tuple[int, PackageState | None, PackageState]] = []
    sequence, at = 1, None
    for event in events:
        after = event.from_state or event.to_state
        while sequence < event.sequence and len(lost) <= MOST_LOST_EVENTS:
            lost.append((sequence, at, after))
            sequence, at = sequence + 1, after
        sequence, at = event.sequence + 1, event.to_state
    if not events:
        lost = [(number, state if number > 1 else None, state) for number in range(1, least + 1)]
    return lost
