"""What the listings and histories of older writers say, and whether a stock's row says it too."""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import tzinfo
from typing import Any, Protocol

Entry = dict[str, Any]

LISTINGS = "listings that are lost"
CHANGES = "changes of status that are lost"


class Conversion(Protocol):
    """What `legacy_documents.py`, beside the revisions, does."""

    WrongShape: type[ValueError]

    def together(self, column: str) -> str:
        """SQL: what a stock `s` and its row `l` of stock_lifecycle say together; both columns are jsonb."""

    def listings(self, text: str | None, stock_id: str, zone: tzinfo) -> list[Entry] | None:
        """The listings of a document."""

    def status_history(self, text: str | None, zone: tzinfo) -> list[Entry] | None:
        """The changes of status of a document."""


def lost_entries(convert: Conversion, row: Any, zone: tzinfo) -> Iterator[tuple[str, str]]:
    """Each listing and each change of status that a document says and its stock does not: its kind and the entry.

    The row has id, listings, history, and listings_now, history_now of the stock; an entry that was merged into
    another with its platform and id is there. Raises the conversion's WrongShape.
    """
    stock_id = str(row.id)
    now = Counter(
        _offer(entry, stock_id) for entry in convert.listings(row.listings_now, stock_id, zone) or ()
    )
    for entry in convert.listings(row.listings, stock_id, zone) or ():
        offer = _offer(entry, stock_id)
        if not now[offer]:
            yield LISTINGS, " ".join(offer)
        elif offer[1] == _MADE:
            now[offer] -= 1
    if row.history is None:
        return
    changes = {_change(entry) for entry in convert.status_history(row.history_now, zone) or ()}
    for entry in convert.status_history(row.history, zone) or ():
        if _change(entry) not in changes:
            yield CHANGES, json.dumps(entry)


_MADE = "legacy"


def _offer(entry: Entry, stock_id: str) -> tuple[str, str]:
    # An id that was made counts how many such there are in one document, and two documents may have been joined.
    made = entry["listing_id"].split(":")[:2] == ["legacy", stock_id]
    return entry["platform"], _MADE if made else entry["listing_id"]


def _change(entry: Entry) -> tuple[Any, ...]:
    # From where it came may have been told by the entry before, which may be another in a joined history.
    return entry["to_status"], entry["changed_at"], entry["reason"]
