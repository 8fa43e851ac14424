"""Notes what is offered on which platform: three verbs upon the listings of one stock."""

from datetime import datetime

from inventory_service.application.ports import UnitOfWork
from inventory_service.application.reads import get_stock
from inventory_service.domain.commands import AddListing, EndListing, UpdateListing
from inventory_service.domain.errors import (
    ListingExists,
    ListingLimitExceeded,
    ListingNotFound,
    ListingPriceIncomplete,
)
from inventory_service.domain.stock import MOST_ACTIVE_LISTINGS, Listing, Stock


async def add_listing(command: AddListing, uow: UnitOfWork) -> Stock:
    """The stock with its new offer.

    Raises StockNotFound, EtagMismatch, ListingExists, ListingLimitExceeded.
    """
    stock, now = await _locked(command, uow)
    if stock.listing(command.platform, command.listing_id) is not None:
        raise ListingExists(command.listing_id, command.platform.name, command.sku)
    if stock.active_listings >= MOST_ACTIVE_LISTINGS:
        raise ListingLimitExceeded(command.sku, MOST_ACTIVE_LISTINGS)
    listing = Listing(
        platform=command.platform,
        listing_id=command.listing_id,
        active=True,
        list_time=now,
        ask_price=command.ask_price,
        currency=command.currency,
        metadata=command.metadata,
    )
    await uow.stocks.add_listing(stock.stock_id, listing, now)
    return await get_stock(command.sku, uow)


async def update_listing(command: UpdateListing, uow: UnitOfWork) -> Stock:
    """The stock with the changed offer.

    Raises StockNotFound, EtagMismatch, ListingNotFound, ListingPriceIncomplete.
    """
    stock, now = await _locked(command, uow)
    listing = stock.listing(command.platform, command.listing_id)
    if listing is None or not listing.active:
        raise ListingNotFound(command.listing_id, command.platform.name, command.sku)
    priced = {"ask_price": listing.ask_price, "currency": listing.currency} | dict(command.changes)
    # What older systems left incomplete is refused only to whoever touches it.
    touched = {"ask_price", "currency"} & command.changes.keys()
    if touched and bool(priced["ask_price"]) != bool(priced["currency"]):
        raise ListingPriceIncomplete(command.listing_id, command.platform.name, command.sku)
    await uow.stocks.change_listing(stock.stock_id, listing, command.changes, now)
    return await get_stock(command.sku, uow)


async def end_listing(command: EndListing, uow: UnitOfWork) -> Stock:
    """The stock with the ended offer; one that ended before stays as it is.

    Raises StockNotFound, EtagMismatch, ListingNotFound.
    """
    stock, now = await _locked(command, uow)
    listing = stock.listing(command.platform, command.listing_id)
    if listing is None:
        raise ListingNotFound(command.listing_id, command.platform.name, command.sku)
    if not listing.active:
        return stock
    await uow.stocks.end_listing(stock.stock_id, listing, now)
    return await get_stock(command.sku, uow)


async def _locked(
    command: AddListing | UpdateListing | EndListing, uow: UnitOfWork
) -> tuple[Stock, datetime]:
    book = await uow.books.open([command])
    book.level(command.sku, command.expected_version)
    return await get_stock(command.sku, uow), book.now
