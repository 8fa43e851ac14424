"""The conversion of the JSON that older writers left: every shape, nothing lost, and twice as good as once."""

import json
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from alembic.util import load_python_file
from hypothesis import given
from hypothesis import strategies as st

from tests.migrations.inventory.legacy import SCHEMA

documents: Any = load_python_file(SCHEMA.location, "legacy_documents.py")
ACTIVE = {"status": "active"}


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (None, None),
        ("null", None),
        ("[]", None),
        ("{}", None),
        ('""', None),
        ('"[]"', None),
        ('{"stockx": false, "ebay": null}', None),
        ('["StockX", "eBay", "stockx"]', [("stockx", "legacy:S", "active"), ("ebay", "legacy:S", "active")]),
        ('"stockx, goat"', [("stockx", "legacy:S", "active"), ("goat", "legacy:S", "active")]),
        ('{"stockx": ["1", "2"], "goat": 150}',
         [("stockx", "1", "active"), ("stockx", "2", "active"), ("goat", "legacy:S", "active")]),
        ('{"alias": "X-9", "ebay": "delisted"}', [("alias", "X-9", "active"), ("ebay", "legacy:S", "ended")]),
        ('{"listings": [{"marketplace": "goat", "id": 7}]}', [("goat", "7", "active")]),
        ('[{"platform": "local", "endedAt": "2025-01-01"}]', [("local", "legacy:S", "ended")]),
        ('{"platform": "ebay", "externalId": "E", "isActive": false}', [("ebay", "E", "ended")]),
        ('[{"status": "sold"}]', [("unknown", "legacy:S", "ended")]),
        (json.dumps(json.dumps([{"platform": "goat", "id": "G"}])), [("goat", "G", "active")]),
        ('[{"platform": "goat"}, {"platform": "goat", "price": 5}]',
         [("goat", "legacy:S", "active"), ("goat", "legacy:S:2", "active")]),
    ],
)  # fmt: skip
def test_listings_of_every_shape_become_entries(document: str | None, expected: Any) -> None:
    found = documents.listings(document, "S")

    assert (
        found and [(entry["platform"], entry["listing_id"], entry["status"]) for entry in found]
    ) == expected


def test_what_has_no_place_in_a_listing_stays_in_its_metadata() -> None:
    offer = {
        "platform": "Klekt",
        "listing_id": "x" * 65,
        "price": "99,90",
        "currency": "Euro",
        "listed": "01.02.2025",
        "status": "Sold",
        "metadata": {"size": "42"},
        "photos": [1.50, None],
    }

    assert documents.listings(json.dumps(offer), "S") == [
        {
            "platform": "klekt",
            "listing_id": "legacy:S",
            "status": "ended",
            "metadata": {
                "size": "42",
                "listing_id": "x" * 65,
                "price": "99,90",
                "currency": "Euro",
                "listed": "01.02.2025",
                "status": "Sold",
                "photos": '["1.5", null]',
            },
        }
    ]


def test_two_offers_of_one_id_become_one_that_keeps_both() -> None:
    twice = '[{"platform": "ebay", "id": "E", "price": 5}, {"platform": "ebay", "id": "E", "price": 7.50}]'

    (entry,) = documents.listings(twice, "S")

    assert entry["ask_price"] == "7.50"
    assert json.loads(entry["metadata"]["earlier"])["ask_price"] == "5"


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ("[]", None),
        ('{"history": []}', None),
        ('["in_stock", "Sold"]', [(None, "in_stock", None), ("in_stock", "sold", None)]),
        ('"presale -> in_stock"', [("presale", "in_stock", None)]),
        ('{"sold": "2025-02-01", "in_stock": "2025-01-01"}',
         [(None, "in_stock", "2024-12-31T23:00:00+00:00"), ("in_stock", "sold", "2025-01-31T23:00:00+00:00")]),
        ('{"2025-01-01T00:00:00Z": {"new": "error"}}', [(None, "error", "2025-01-01T00:00:00+00:00")]),
        ('[{"from": null, "to": "cancelled", "at": 1735689600}]',
         [(None, "canceled", "2025-01-01T00:00:00+00:00")]),
        ('[{"oldStatus": "listed_stockx", "newStatus": "sold", "timestamp": 1735689600000}]',
         [("listed_stockx", "sold", "2025-01-01T00:00:00+00:00")]),
    ],
)  # fmt: skip
def test_histories_of_every_shape_become_entries(document: str, expected: Any) -> None:
    found = documents.status_history(document, ZoneInfo("Europe/Berlin"))

    assert (found and [(e["from_status"], e["to_status"], e["changed_at"]) for e in found]) == expected


def test_what_has_no_place_in_a_change_stays_in_its_reason() -> None:
    text = '[{"status": "sold", "note": "by phone", "user": 7, "date": "soon"}, "counted again on Monday"]'

    found = documents.status_history(text)

    assert [entry["reason"] for entry in found] == [
        'by phone; {"user": 7, "date": "soon"}',
        "counted again on Monday",
    ]


@pytest.mark.parametrize("document", ["5", "true", "[1]", '"a?b"', '"[cut"', '["stockx", false]'])
def test_what_is_no_listing_is_refused_with_what_it_is(document: str) -> None:
    with pytest.raises(documents.WrongShape):
        documents.listings(document, "S")


KEYS = ("platform", "stockx", "id", "status", "price", "at", "to", "from", "metadata", "listings", "x")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2_000_000_000) | st.text(max_size=8)
    | st.sampled_from(["stockx", "active", "2025-01-01", "in_stock", "[]", "[7]", "null"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(KEYS),
        inner, max_size=4,
    ),
    max_leaves=8,
)  # fmt: skip


@given(JSON)
def test_any_document_is_converted_once_and_for_all_or_refused(value: Any) -> None:
    for convert in (lambda text: documents.listings(text, "S"), documents.status_history):
        try:
            once = convert(json.dumps(value))
        except documents.WrongShape:
            continue
        assert once is None or convert(json.dumps(once)) == once
