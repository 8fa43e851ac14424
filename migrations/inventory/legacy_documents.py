"""The JSON that older writers left in stocks, brought into one shape; nothing in it is lost.

Writers left lists of names, lists of objects with keys of their own, objects by platform, by time or by status,
JSON inside of texts, and nothing in several ways. Words with the same meaning become ours; what has no place in
an entry stays in its `metadata` (listings) or its `reason` (history). Doing it twice changes nothing more.
Belongs to the revisions 0002 and 0003, and is as frozen as these are.
"""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from functools import lru_cache
from itertools import chain
from typing import Any

Entry = dict[str, Any]

PLATFORMS = ("stockx", "ebay", "goat", "alias", "local")
STATUSES = ("in_stock", "presale", "preorder", "sold", "canceled", "error")
ACTIVE = ("active", "listed", "live", "open", "online", "published")
ENDED = ("ended", "inactive", "delisted", "unlisted", "removed", "deleted", "expired", "closed", "sold")
WRAPPERS = ("platforms", "listings", "listed_on_platforms", "history", "status_history", "entries", "changes")
LISTING_WORDS = {
    "platform": ("platform", "platform_name", "marketplace", "market", "channel", "site", "name"),
    "listing_id": ("listing_id", "external_id", "external_listing_id", "item_id", "id"),
    "listed_at": ("listed_at", "listed_on", "listing_date", "list_date", "created_at", "timestamp", "date"),
    "ended_at": ("ended_at", "delisted_at", "removed_at", "sold_at", "end_date"),
    "status": ("status", "state", "listing_status", "is_active", "active"),
    "ask_price": ("ask_price", "asking_price", "listing_price", "list_price", "price", "ask"),
    "currency": ("currency", "currency_code"),
}
HISTORY_WORDS = {
    "from_status": ("from_status", "from", "old_status", "previous_status", "old", "previous"),
    "to_status": ("to_status", "to", "new_status", "status", "state", "new"),
    "changed_at": ("changed_at", "timestamp", "changed_on", "created_at", "updated_at", "date", "time", "at"),
    "reason": ("reason", "note", "notes", "comment", "message", "description"),
}


class WrongShape(ValueError):
    """A document holds something that is neither a listing nor a change of status; the message quotes it."""


def together(column: str) -> str:
    """SQL: what a stock `s` and its lifecycle `l` say together; entries that only the split table has come first."""
    ours, theirs = f"s.{column}", f"l.{column}"
    nothing = """IN ('null', '[]', '{}', '""')"""
    return (
        f"CASE WHEN {theirs} IS NULL OR {theirs} {nothing} THEN {ours}"  # noqa: S608
        f" WHEN {ours} IS NULL OR {ours} {nothing} THEN {theirs}"
        f" WHEN {ours} @> {theirs} OR {ours} @> jsonb_build_array({theirs}) THEN {ours}"
        f" WHEN jsonb_typeof({ours}) = 'array' AND jsonb_typeof({theirs}) = 'array' THEN"
        f" (SELECT jsonb_agg(entry ORDER BY number) FROM jsonb_array_elements({theirs})"
        f" WITH ORDINALITY x (entry, number) WHERE NOT {ours} @> jsonb_build_array(entry)) || {ours}"
        f" ELSE jsonb_build_array({theirs}, {ours}) END"
    )


def listings(text: str | None, stock_id: str, zone: tzinfo = UTC) -> list[Entry] | None:
    """The entries of `listed_on_platforms`, None where there are none; naive times are those of `zone`.

    An offer without an id gets one made of the stock's. Raises WrongShape.
    """
    found: dict[tuple[str, str], Entry] = {}
    plain: list[Entry] = []
    for entry in _listings(_parsed(text), {}, zone):
        if "listing_id" not in entry:
            if entry in plain:
                continue
            plain.append(dict(entry))
            number = sum(other["platform"] == entry["platform"] for other in plain)
            entry["listing_id"] = f"legacy:{stock_id}" + (f":{number}" if number > 1 else "")
        key = (entry["platform"], entry["listing_id"])
        found[key] = _merged(found[key], entry) if key in found else entry
    return list(found.values()) or None


def status_history(text: str | None, zone: tzinfo = UTC) -> list[Entry] | None:
    """The entries of `status_history`, None where there are none; naive times are those of `zone`.

    An entry that does not say from where a stock came follows the one before. Raises WrongShape.
    """
    entries: list[Entry] = []
    for entry in _changes(_parsed(text), {}, zone):
        came_from = entry.get("from_status", entries[-1]["to_status"] if entries else None)
        entries.append({"to_status": None, "changed_at": None, "reason": None} | entry)
        entries[-1]["from_status"] = came_from
    return entries or None


def _listings(value: Any, known: Entry, zone: tzinfo) -> Iterator[Entry]:
    """`known` is what the place of the value says already: its platform."""
    if isinstance(value, list):
        for item in value:
            yield from _listings(item, known, zone)
    elif isinstance(value, dict):
        words = {_word(key) for key in value}
        if (wrapped := _wrapped(value)) is not None:
            yield from _listings(wrapped, known, zone)
        elif (
            not known and value and not words.intersection(LISTING_WORDS["platform"]) and _by_platform(value)
        ):
            for name, offer in value.items():
                yield from _listings(offer, {"platform": _platform(name)}, zone)
        elif value or known:
            yield _listing({**value}, known, zone)
    elif isinstance(value, str) and value.strip():
        yield from _listings_of_text(value.strip(), known, zone)
    elif value is True and known:
        yield {**known, "status": "active"}
    elif known and _is_number(value):
        yield {**known, "status": "active", "metadata": {"value": _text(value)}}
    elif _is_number(value) or (isinstance(value, bool) and not known):
        raise WrongShape(_quoted(value))


def _listings_of_text(text: str, known: Entry, zone: tzinfo) -> Iterator[Entry]:
    if (inner := _json_inside(text)) is not None:
        yield from _listings(inner, known, zone)
    elif known:
        word = (
            "status"
            if text.lower() in (*ACTIVE, *ENDED)
            else "listed_at"
            if _time(text, zone)
            else "listing_id"
        )
        yield _listing({word: text}, known, zone)
    else:
        for name in text.split(","):
            if re.fullmatch(r"[A-Za-z][\w .-]{0,31}", name.strip()) is None:
                raise WrongShape(_quoted(text))
            yield {"platform": _platform(name), "status": "active"}


def _listing(raw: Entry, known: Entry, zone: tzinfo) -> Entry:
    metadata = raw.pop("metadata", None)
    kept = (
        dict(metadata) if isinstance(metadata, dict) else {} if metadata is None else {"metadata": metadata}
    )
    entry: Entry = dict(known)
    said = _take(raw, LISTING_WORDS["status"], lambda value: value if isinstance(value, str | bool) else None)
    for field, convert in {
        "platform": lambda value: _platform(value) if isinstance(value, str) and value.strip() else None,
        "listing_id": _listing_id,
        "listed_at": lambda value: _time(value, zone),
        "ended_at": lambda value: _time(value, zone),
        "ask_price": _price,
        "currency": lambda value: value if re.fullmatch("[A-Z]{3}", str(value)) else None,
    }.items():
        if (value := _take(raw, LISTING_WORDS[field], convert)) is not None:
            entry[field] = value
    entry.setdefault("platform", "unknown")
    word = said.lower() if isinstance(said, str) else said
    entry["status"] = (
        "active" if word in (True, *ACTIVE) or (word is None and "ended_at" not in entry) else "ended"
    )
    if isinstance(said, str) and said != entry["status"]:
        raw["status"] = said
    kept |= {key: value for key, value in raw.items() if value is not None}
    if kept:
        entry["metadata"] = {key: _text(value) for key, value in kept.items()}
    return entry


def _merged(earlier: Entry, later: Entry) -> Entry:
    if earlier == later:
        return later
    metadata = earlier.get("metadata", {}) | later.get("metadata", {}) | {"earlier": _text(earlier)}
    return earlier | later | {"metadata": metadata}


def _changes(value: Any, known: Entry, zone: tzinfo) -> Iterator[Entry]:
    """`known` is what the place of the value says already: its time or its status."""
    if isinstance(value, list):
        for item in value:
            yield from _changes(item, known, zone)
    elif isinstance(value, dict):
        if (wrapped := _wrapped(value)) is not None:
            yield from _changes(wrapped, known, zone)
        elif not known and value and all(_time(key, zone) for key in value):
            # The engine keeps an object's keys in an order of its own.
            for key in sorted(value, key=lambda key: str(_time(key, zone))):
                yield from _changes(value[key], {"changed_at": _time(key, zone)}, zone)
        elif not known and value and all(_word(key) in STATUSES for key in value):
            by_status = [_changes(change, {"to_status": _word(key)}, zone) for key, change in value.items()]
            yield from sorted(
                chain.from_iterable(by_status), key=lambda entry: entry.get("changed_at") or "~"
            )
        elif value or known:
            yield _change({**value}, known, zone)
    elif isinstance(value, str) and value.strip():
        yield from _changes_of_text(value.strip(), known, zone)
    elif value is None and known:
        yield known
    elif _is_number(value) or isinstance(value, bool):
        if not known:
            raise WrongShape(_quoted(value))
        yield _change({"changed_at" if "to_status" in known else "value": value}, known, zone)


def _changes_of_text(text: str, known: Entry, zone: tzinfo) -> Iterator[Entry]:
    arrow = re.fullmatch(r"([\w ]+?)\s*(?:->|=>|→)\s*([\w ]+)", text)
    if (inner := _json_inside(text)) is not None:
        yield from _changes(inner, known, zone)
    elif arrow:
        yield known | {"from_status": _status(arrow[1]), "to_status": _status(arrow[2])}
    elif "to_status" in known:
        yield _change({"changed_at" if _time(text, zone) else "reason": text}, known, zone)
    else:
        field = "to_status" if re.fullmatch(r"\w+", text) or _status(text) in STATUSES else "reason"
        yield _change({field: text}, known, zone)


def _change(raw: Entry, known: Entry, zone: tzinfo) -> Entry:
    entry: Entry = dict(known)
    for field, convert in {
        "from_status": _status,
        "to_status": _status,
        "changed_at": lambda value: _time(value, zone),
        "reason": lambda value: value if isinstance(value, str) else None,
    }.items():
        spoken = any(_word(key) in HISTORY_WORDS[field] for key in raw)
        if (value := _take(raw, HISTORY_WORDS[field], convert)) is not None:
            entry[field] = value
        elif spoken and field == "from_status":
            entry[field] = None
    if rest := {key: value for key, value in raw.items() if value is not None}:
        entry["reason"] = "; ".join(filter(None, (entry.get("reason"), _text(rest))))
    return entry


def _take(raw: Entry, words: tuple[str, ...], convert: Any) -> Any:
    """The first of these words that has a value of the right kind, taken out of `raw`."""
    for word in words:
        for key in raw:
            if _word(key) == word and raw[key] is not None and (value := convert(raw[key])) is not None:
                del raw[key]
                return value
    return None


def _by_platform(value: Mapping[str, Any]) -> bool:
    return any(_platform(key) in PLATFORMS for key in value) or all(
        isinstance(offer, dict | list | bool) for offer in value.values()
    )


def _wrapped(value: Mapping[str, Any]) -> Any:
    """What stands in an object that does nothing but name a list."""
    key, inner = next(iter(value.items()), ("", None))
    return inner if len(value) == 1 and _word(key) in WRAPPERS and isinstance(inner, list | dict) else None


def _json_inside(text: str) -> Any:
    """What a text that holds JSON says; an empty list where it says nothing."""
    if text[0] not in '[{"' and text != "null":
        return None
    try:
        inner = _parsed(text)
    except ValueError:
        raise WrongShape(_quoted(text)) from None
    return [] if inner is None else inner


def _parsed(text: str | None) -> Any:
    return None if text is None else json.loads(text, parse_float=Decimal)


# A handful of keys comes back in every row.
@lru_cache(maxsize=4096)
def _word(key: str) -> str:
    return re.sub(r"[\s-]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z][a-z]|Id|ID)", "_", key.strip())).lower()


def _platform(name: str) -> str:
    plain = re.sub("[^a-z0-9]", "", name.lower())
    return plain if plain in PLATFORMS else name.strip().lower()


def _status(value: Any) -> str | None:
    if not isinstance(value, str) or not value.strip():
        return None
    word = value.strip().lower().replace(" ", "_").replace("cancelled", "canceled")
    return word if word in STATUSES else value


def _listing_id(value: Any) -> str | None:
    text = _text(value) if isinstance(value, str) or _is_number(value) else ""
    return text if 0 < len(text) <= 64 and text.isprintable() else None


def _price(value: Any) -> str | None:
    text = _text(value) if isinstance(value, str) or _is_number(value) else ""
    return text if re.fullmatch(r"\d{1,8}(\.\d{1,2})?", text, re.ASCII) else None


def _time(value: Any, zone: tzinfo) -> str | None:
    try:
        if _is_number(value):
            seconds = float(value) / (1000 if value > 100_000_000_000 else 1)
            return datetime.fromtimestamp(seconds, UTC).isoformat()
        time = datetime.fromisoformat(value)
        return (time if time.tzinfo else time.replace(tzinfo=zone)).astimezone(UTC).isoformat()
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def _text(value: Any) -> str:
    if isinstance(value, str | Decimal):
        return str(value)
    return json.dumps(value, ensure_ascii=False, default=str)


def _quoted(value: Any) -> str:
    text = _text(value)
    return text if len(text) <= 60 else text[:57] + "…"
