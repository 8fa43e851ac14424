"""Random calls, most of them at what the books have."""

from collections.abc import Sequence
from typing import Any

from google.protobuf.duration_pb2 import Duration
from holdfast.inventory.v1 import movement_pb2, reservation_pb2, stock_pb2
from hypothesis import strategies as st

from tests.inventory_service.client import lines
from tests.inventory_service.model import Books, Call

SKUS = ("A", "B", "C", "D")
CALLERS = ("merchant:7", "merchant:7", "merchant:7", "merchant:8", "system:delivery")
REASONS = [movement_pb2.MOVEMENT_REASON_RECEIVED, movement_pb2.MOVEMENT_REASON_RETURNED]
REASONS += [movement_pb2.MOVEMENT_REASON_LOST, movement_pb2.MOVEMENT_REASON_TRANSFER]
STATUSES = [value for value in stock_pb2.StockStatus.values() if value]
PLATFORMS = [stock_pb2.PLATFORM_EBAY, stock_pb2.PLATFORM_GOAT]

Calls = st.SearchStrategy[Call]
callers = st.sampled_from(CALLERS)
skus = st.sampled_from(SKUS)
units = st.integers(1, 4)
quantities = st.dictionaries(st.sampled_from(SKUS[:3]), units, min_size=1, max_size=2)
ttls = st.sampled_from([Duration(seconds=60), Duration(seconds=3600)])


def caller_metadata(call: Call) -> Sequence[tuple[str, str]]:
    """The metadata that names the caller."""
    role, _, actor_id = call.caller.partition(":")
    return (("actor-role", role), ("actor-id", actor_id))


def calls(books: Books) -> Calls:
    """Any call; most are upon reservations, and most of those upon one that is open."""
    known = list(books.holds)
    fresh = st.just(f"r{len(known)}")
    open_ = st.sampled_from(_open(books)) if _open(books) else fresh
    return st.one_of(
        reserving(fresh),
        reserving(fresh),
        reserving(st.sampled_from(known) if known else fresh),
        open_.flatmap(lambda key: resolving(books, key)),
        open_.flatmap(lambda key: resolving(books, key)),
        open_.flatmap(lambda key: resolving(books, key)),
        (st.sampled_from(known) | fresh if known else fresh).flatmap(lambda key: resolving(books, key)),
        skus.flatmap(lambda sku: changing(books, sku)),
        skus.flatmap(lambda sku: changing(books, sku)),
        skus.flatmap(lambda sku: changing(books, sku)),
    )


def pairs(books: Books) -> st.SearchStrategy[tuple[Call, Call]]:
    """Two calls, often upon the same reservation or the same stock."""
    rivals = [skus.flatmap(lambda sku: st.tuples(changing(books, sku), changing(books, sku)))]
    if open_ := _open(books):
        keys = st.sampled_from(open_)
        rivals += [keys.flatmap(lambda key: st.tuples(resolving(books, key), resolving(books, key)))]
    return st.one_of(st.tuples(calls(books), calls(books)), *rivals)


def reserving(keys: st.SearchStrategy[str]) -> Calls:
    """ReserveStock; lines of one sku may come twice."""

    def reserve(key: str, holder: str, wanted: dict[str, int], twice: bool, ttl: Any, caller: str) -> Call:
        request = reservation_pb2.ReserveStockRequest(reservation_id=key, holder=holder, lines=lines(wanted))
        if twice:
            request.lines.extend(lines(dict([next(iter(wanted.items()))])))
        if ttl is not None:
            request.ttl.CopyFrom(ttl)
        return Call("ReserveStock", request, caller)

    holders = st.sampled_from(["order:1", "order:1", "order:2"])
    twice = st.sampled_from([False, False, False, True])
    return st.builds(reserve, keys, holders, quantities, twice, st.none() | ttls | ttls, callers)


def resolving(books: Books, key: str) -> Calls:
    """Commit (whole or in part), release or extend one reservation."""
    hold = books.holds.get(key)
    stale = st.sampled_from(_etags(hold.version if hold else 1))
    # Now and then one unit more than is held.
    within = {sku: st.integers(1, most + 1) for sku, most in hold.lines.items()} if hold else {}
    parts = st.fixed_dictionaries({}, optional=within)

    def commit(part: dict[str, int], etag: str, caller: str) -> Call:
        request = reservation_pb2.CommitReservationRequest(reservation_id=key, lines=lines(part), etag=etag)
        return Call("CommitReservation", request, caller)

    def release(etag: str, caller: str) -> Call:
        request = reservation_pb2.ReleaseReservationRequest(reservation_id=key, etag=etag)
        return Call("ReleaseReservation", request, caller)

    def extend(ttl: Duration, etag: str, caller: str) -> Call:
        request = reservation_pb2.ExtendReservationRequest(reservation_id=key, ttl=ttl, etag=etag)
        return Call("ExtendReservation", request, caller)

    callers_ = st.sampled_from([hold.created_by] * 6 + list(CALLERS)) if hold else callers
    return st.one_of(
        st.builds(commit, st.just({}), stale, callers_),
        st.builds(commit, parts, stale, callers_),
        st.builds(release, stale, callers_),
        st.builds(extend, ttls, stale, callers_),
    )


def changing(books: Books, sku: str) -> Calls:
    """Any change of one stock."""
    shelf = books.shelves.get(sku)
    quantity = shelf.quantity if shelf else 0
    etags = st.sampled_from(_etags(shelf.version if shelf else 1))
    listing_ids = st.sampled_from(["L1", "L2"])

    def adjust(delta: int, reason: movement_pb2.MovementReason.ValueType, etag: str) -> Call:
        request = movement_pb2.AdjustStockRequest(sku=sku, delta=delta, reason=reason, etag=etag)
        return Call("AdjustStock", request)

    def count(counted: int, expected: int) -> Call:
        request = movement_pb2.SetStockQuantityRequest(sku=sku, quantity=counted, expected_quantity=expected)
        return Call("SetStockQuantity", request)

    def change_status(status: stock_pb2.StockStatus.ValueType, etag: str) -> Call:
        return Call(
            "ChangeStockStatus", stock_pb2.ChangeStockStatusRequest(sku=sku, status=status, etag=etag)
        )

    def add(platform: stock_pb2.Platform.ValueType, listing_id: str, etag: str) -> Call:
        listing = stock_pb2.Listing(platform=platform, listing_id=listing_id)
        return Call("AddListing", stock_pb2.AddListingRequest(sku=sku, listing=listing, etag=etag))

    def end(platform: stock_pb2.Platform.ValueType, listing_id: str) -> Call:
        request = stock_pb2.EndListingRequest(sku=sku, platform=platform, listing_id=listing_id)
        return Call("EndListing", request)

    platforms = st.sampled_from(PLATFORMS)
    deltas = st.integers(-12, 12).filter(bool) | st.just(-quantity or 1)
    return st.one_of(
        st.builds(adjust, deltas, st.sampled_from(REASONS), etags),
        st.builds(adjust, deltas, st.sampled_from(REASONS), etags),
        st.builds(count, st.integers(0, 12), st.sampled_from([quantity, quantity, quantity + 1])),
        st.builds(change_status, st.sampled_from(STATUSES), etags),
        st.builds(add, platforms, listing_ids, etags),
        st.builds(end, platforms, listing_ids),
        st.builds(
            lambda opening: Call("CreateStock", stock_pb2.CreateStockRequest(sku=sku, quantity=opening)),
            st.integers(0, 8),
        ),
        st.builds(lambda etag: Call("DeleteStock", stock_pb2.DeleteStockRequest(sku=sku, etag=etag)), etags),
    )


def _etags(version: int) -> list[str]:
    """Mostly none; the present one; one that is not."""
    return ["", "", "", "", f"v{version}", f"v{version}", f"v{version + 1}"]


def _open(books: Books) -> list[str]:
    return [key for key, hold in books.holds.items() if hold.state == "HELD"]
