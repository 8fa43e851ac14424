"""Stocks: what creates, names and lists them, and how they are shown."""

from collections.abc import Sequence

from holdfast.inventory.v1 import stock_pb2 as pb
from holdfast.inventory.v1.reservation_pb2 import ExplainAvailabilityRequest

from inventory_service.application.create_stock import CreateStock
from inventory_service.application.stock_ports import StockFilter, StockKey
from inventory_service.domain.commands import Actor, ChangeStockStatus, DeleteStock, UpdateStock
from inventory_service.domain.stock import (
    MOST_UNITS,
    SELLABLE,
    Listing,
    StatusChange,
    Stock,
    StockStatus,
)
from inventory_service.rpc.messages.stock_details import changed_details, details_of, stock_details, uuid
from inventory_service.rpc.messages.words import PLATFORMS, STATUSES, number
from servicekit.rpc.etags import etag, version
from servicekit.rpc.paging import Page, after_text, after_time_and_uuid, requested_page
from servicekit.rpc.times import timestamp
from servicekit.rpc.validation import Violations

MOST_SKUS = 1000
# Of listings that ended and of changes of status, the last ones: a stock has to fit into an answer.
MOST_PAST_SHOWN = 100

_OPENING_STATUSES = {number: status for number, status in STATUSES.items() if status in SELLABLE}


def create_stock(request: pb.CreateStockRequest, actor: Actor) -> CreateStock:
    """Raises FieldInvalid."""
    with Violations() as v:
        v.request_id(request.request_id)
        return CreateStock(
            sku=v.name("sku", request.sku),
            quantity=v.quantity("quantity", request.quantity),
            status=v.optional_choice("status", request.status, _OPENING_STATUSES) or StockStatus.IN_STOCK,
            details=stock_details(v, "details", request.details),
            actor=actor,
        )


def update_stock(request: pb.UpdateStockRequest) -> UpdateStock:
    """Raises FieldInvalid."""
    with Violations() as v:
        v.request_id(request.request_id)
        return UpdateStock(
            sku=v.name("sku", request.sku),
            changes=changed_details(v, request.details, request.update_mask),
            expected_version=version(v, "etag", request.etag),
        )


def change_stock_status(request: pb.ChangeStockStatusRequest) -> ChangeStockStatus:
    """Raises FieldInvalid."""
    with Violations() as v:
        v.request_id(request.request_id)
        return ChangeStockStatus(
            sku=v.name("sku", request.sku),
            status=v.choice("status", request.status, STATUSES) or StockStatus.ERROR,
            reason=v.text("reason", request.reason, most=500),
            expected_version=version(v, "etag", request.etag),
        )


def delete_stock(request: pb.DeleteStockRequest) -> DeleteStock:
    """Raises FieldInvalid."""
    with Violations() as v:
        v.request_id(request.request_id)
        return DeleteStock(sku=v.name("sku", request.sku), expected_version=version(v, "etag", request.etag))


def skus(request: pb.BatchGetStocksRequest) -> list[str]:
    """The skus asked for, each once, in the order asked. Raises FieldInvalid."""
    with Violations() as v:
        v.count("skus", len(request.skus), least=1, most=MOST_SKUS)
        for index, value in enumerate(request.skus[:MOST_SKUS]):
            v.name(f"skus[{index}]", value)
        return list(dict.fromkeys(request.skus))


def sku(request: pb.GetStockRequest | ExplainAvailabilityRequest) -> str:
    """The sku asked for. Raises FieldInvalid."""
    with Violations() as v:
        return v.name("sku", request.sku)


def list_stocks(request: pb.ListStocksRequest) -> tuple[StockFilter, Page]:
    """Raises FieldInvalid, PageTokenMismatch."""
    with Violations() as v:
        page = requested_page(v, request)
        available = request.available_at_most if request.HasField("available_at_most") else None
        if available is not None:
            v.quantity("available_at_most", available, most=MOST_UNITS)
        if request.order_by not in pb.StockOrder.values():
            v.add("order_by", "must be one of NEWEST_FIRST, SKU")
        wanted = StockFilter(
            sku_prefix=v.text("sku_prefix", request.sku_prefix, most=64) or None,
            product_id=uuid(v, "product_id", request.product_id),
            status=v.optional_choice("status", request.status, STATUSES),
            platform=v.optional_choice("platform", request.platform, PLATFORMS),
            available_at_most=available,
            updated_since=v.instant("updated_since", request.updated_since)
            if request.HasField("updated_since")
            else None,
            by_sku=request.order_by == pb.STOCK_ORDER_SKU,
        )
        return wanted, page


def stocks_after(page: Page, by_sku: bool) -> StockKey | None:
    """Where the page begins. Raises PageTokenMismatch."""
    return after_text(page) if by_sku else after_time_and_uuid(page)


def stock_key(stock: Stock, by_sku: bool) -> tuple[str, ...]:
    """What the page after this stock begins behind."""
    return (stock.sku,) if by_sku else (stock.create_time.isoformat(), str(stock.stock_id))


def stock_message(stock: Stock) -> pb.Stock:
    """The stock as callers see it."""
    message = stock_numbers(stock)
    message.details.CopyFrom(details_of(stock.details))
    message.listings.extend(map(_listing, _shown_listings(stock.listings)))
    message.status_history.extend(map(_status_change, stock.status_history[-MOST_PAST_SHOWN:]))
    return message


def stock_numbers(stock: Stock) -> pb.Stock:
    """What a change of quantities touches, and what names the stock."""
    return pb.Stock(
        sku=stock.sku,
        status=number(STATUSES, stock.status),
        quantity=stock.quantity,
        reserved_quantity=stock.reserved_quantity,
        available_quantity=stock.available_quantity,
        etag=etag(stock.version),
        create_time=timestamp(stock.create_time),
        update_time=timestamp(stock.update_time),
    )


def _shown_listings(listings: Sequence[Listing]) -> list[Listing]:
    ended = [listing for listing in listings if not listing.active]
    left_out = {id(listing) for listing in ended[:-MOST_PAST_SHOWN]}
    return [listing for listing in listings if id(listing) not in left_out]


def _listing(listing: Listing) -> pb.Listing:
    return pb.Listing(
        platform=number(PLATFORMS, listing.platform),
        listing_id=listing.listing_id,
        status=pb.LISTING_STATUS_ACTIVE if listing.active else pb.LISTING_STATUS_ENDED,
        list_time=timestamp(listing.list_time),
        ask_price=listing.ask_price or "",
        currency=listing.currency or "",
        end_time=timestamp(listing.end_time),
        metadata=listing.metadata,
    )


def _status_change(change: StatusChange) -> pb.StatusChange:
    return pb.StatusChange(
        from_status=number(STATUSES, change.from_status),
        to_status=number(STATUSES, change.to_status),
        change_time=timestamp(change.change_time),
        reason=change.reason or "",
    )
