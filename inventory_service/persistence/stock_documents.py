"""The JSON columns of `stock`: listings, history of statuses, external ids.

Older systems wrote into them too, so reading is lenient: what has no meaning here stays in the row and is not shown.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from inventory_service.domain.stock import Listing, Platform, StatusChange, StockStatus


def status_change(change: StatusChange) -> dict[str, str | None]:
    """An entry of `status_history`."""
    return {
        "from_status": change.from_status.value if change.from_status else None,
        "to_status": change.to_status.value if change.to_status else None,
        "changed_at": change.change_time.isoformat() if change.change_time else None,
        "reason": change.reason,
    }


def listing(offer: Listing) -> dict[str, object]:
    """An entry of `listed_on_platforms`; what is not known of an offer is left out."""
    entry = {
        "platform": offer.platform.value if offer.platform else None,
        "listing_id": offer.listing_id,
        "listed_at": offer.list_time.isoformat() if offer.list_time else None,
        "status": "active" if offer.active else "ended",
        "ask_price": offer.ask_price,
        "currency": offer.currency,
        "metadata": dict(offer.metadata) or None,
    }
    return {key: value for key, value in entry.items() if value is not None}


def status_history(document: Any) -> tuple[StatusChange, ...]:
    """The entries of `status_history` of which a status is known, oldest first."""
    changes = (
        StatusChange(
            from_status=_member(StockStatus, entry.get("from_status")),
            to_status=_member(StockStatus, entry.get("to_status")),
            change_time=_time(entry.get("changed_at")),
            reason=_text(entry.get("reason")),
        )
        for entry in _entries(document)
    )
    return tuple(change for change in changes if change.from_status or change.to_status)


def listings(document: Any) -> tuple[Listing, ...]:
    """The entries of `listed_on_platforms` whose platform is known, oldest first."""
    return tuple(
        Listing(
            platform=platform,
            listing_id=_text(entry.get("listing_id")) or "",
            active=entry.get("status") == "active",
            list_time=_time(entry.get("listed_at")),
            ask_price=_text(entry.get("ask_price")),
            currency=_text(entry.get("currency")),
            end_time=_time(entry.get("ended_at")),
            metadata=texts(entry.get("metadata")),
        )
        for entry in _entries(document)
        if (platform := _member(Platform, entry.get("platform")))
    )


def texts(document: Any) -> Mapping[str, str]:
    """A JSON object as texts; a value that is none stays as its JSON."""
    if not isinstance(document, dict):
        return {}
    return {str(key): text for key, value in document.items() if (text := _text(value)) is not None}


def _entries(document: Any) -> list[dict[str, Any]]:
    return [entry for entry in document if isinstance(entry, dict)] if isinstance(document, list) else []


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)


def _time(value: Any) -> datetime | None:
    try:
        time = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _member(kind: Any, value: Any) -> Any:
    return next((member for member in kind if member.value == value), None)
