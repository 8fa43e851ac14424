"""Listings: what adds, changes and ends them."""

import re

from holdfast.inventory.v1 import stock_pb2 as pb

from inventory_service.domain.commands import AddListing, EndListing, UpdateListing
from inventory_service.domain.stock import Platform
from inventory_service.rpc.messages.stock_details import decimal, field_mask, pairs
from inventory_service.rpc.messages.words import PLATFORMS
from servicekit.rpc import etags
from servicekit.rpc.validation import Violations

MOST_METADATA_BYTES = 4096
_CHANGEABLE = ("ask_price", "currency", "metadata")


def add_listing(request: pb.AddListingRequest) -> AddListing:
    """Raises FieldInvalid."""
    with Violations() as v:
        v.request_id(request.request_id)
        offer = request.listing
        for name in ("status", "list_time", "end_time"):
            if name in {field.name for field, _ in offer.ListFields()}:
                v.add(f"listing.{name}", "is set by the service only")
        command = AddListing(
            sku=v.name("sku", request.sku),
            platform=_platform(v, "listing.platform", offer.platform),
            listing_id=v.text("listing.listing_id", offer.listing_id, most=64, required=True),
            ask_price=_ask_price(v, offer),
            currency=_currency(v, offer),
            metadata=_metadata(v, offer),
            expected_version=etags.version(v, "etag", request.etag),
        )
        if bool(offer.ask_price) != bool(offer.currency):
            v.add("listing.currency", "is required with a price, and only then")
        return command


def update_listing(request: pb.UpdateListingRequest) -> UpdateListing:
    """Raises FieldInvalid."""
    with Violations() as v:
        v.request_id(request.request_id)
        offer = request.listing
        paths = field_mask(v, request.update_mask, _CHANGEABLE)
        values = {
            "ask_price": _ask_price(v, offer),
            "currency": _currency(v, offer),
            "metadata": _metadata(v, offer),
        }
        if "ask_price" in paths and not offer.ask_price:
            # A currency says nothing where there is no price.
            paths.add("currency")
            if offer.currency:
                v.add("listing.currency", "must be empty without a price")
        return UpdateListing(
            sku=v.name("sku", request.sku),
            platform=_platform(v, "listing.platform", offer.platform),
            listing_id=v.text("listing.listing_id", offer.listing_id, most=64, required=True),
            changes={name: value for name, value in values.items() if name in paths},
            expected_version=etags.version(v, "etag", request.etag),
        )


def end_listing(request: pb.EndListingRequest) -> EndListing:
    """Raises FieldInvalid."""
    with Violations() as v:
        v.request_id(request.request_id)
        return EndListing(
            sku=v.name("sku", request.sku),
            platform=_platform(v, "platform", request.platform),
            listing_id=v.text("listing_id", request.listing_id, most=64, required=True),
            expected_version=etags.version(v, "etag", request.etag),
        )


def _platform(v: Violations, field: str, value: int) -> Platform:
    return v.choice(field, value, PLATFORMS) or Platform.LOCAL


def _metadata(v: Violations, offer: pb.Listing) -> dict[str, str]:
    metadata = pairs(v, "listing.metadata", dict(offer.metadata))
    size = sum(len(text.encode()) for pair in metadata.items() for text in pair)
    if size > MOST_METADATA_BYTES:
        v.add("listing.metadata", f"must have at most {MOST_METADATA_BYTES} bytes, has {size}")
    return metadata


def _ask_price(v: Violations, offer: pb.Listing) -> str | None:
    decimal(v, "listing.ask_price", offer.ask_price, 8)
    return offer.ask_price or None


def _currency(v: Violations, offer: pb.Listing) -> str | None:
    if offer.currency and re.fullmatch("[A-Z]{3}", offer.currency) is None:
        v.add("listing.currency", "must be three capital letters, such as EUR")
    return offer.currency or None
