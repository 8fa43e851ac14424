"""What older systems left in the JSON columns of stocks, as it is read."""

from inventory_service.domain.stock import Platform, StockStatus
from inventory_service.persistence.stock_documents import listings, status_history


def test_an_offer_on_a_platform_that_the_contract_does_not_have_is_not_shown() -> None:
    shown = listings(
        [
            {"platform": "amazon", "listing_id": "A1", "status": "active"},
            {"platform": "goat", "listing_id": "G1", "status": "active"},
        ]
    )

    assert [(offer.platform, offer.listing_id) for offer in shown] == [(Platform.GOAT, "G1")]


def test_a_change_between_statuses_that_are_both_unknown_is_not_shown() -> None:
    shown = status_history(
        [
            {"from_status": "a", "to_status": "b", "changed_at": "2025-01-01T00:00:00+00:00"},
            {"from_status": "lost", "to_status": "sold", "changed_at": None},
        ]
    )

    assert [(change.from_status, change.to_status) for change in shown] == [(None, StockStatus.SOLD)]
