"""Random calls, most of them at what the books have."""

from collections.abc import Sequence
from typing import Any

from google.protobuf.duration_pb2 import Duration
from holdfast.inventory.v1 import movement_pb2, reservation_pb2, stock_pb2
from hypothesis import strategies as st

from tests.inventory_service.client import lines
from tests.inventory_service.model import Books, Call

SKUS = ("A", "B", "C", "D")
CALLERS = ("merchant:7", "merchant:7", "merchant:7", "merchant:8", "dispatcher:control")
REASONS = [movement_pb2.MOVEMENT_REASON_RECEIVED, movement_pb2.MOVEMENT_REASON_RETURNED]
REASONS += [movement_pb2.MOVEMENT_REASON_LOST, movement_pb2.MOVEMENT_REASON_TRANSFER]
STATUSES = [value for value in stock_pb2.StockStatus.values() if value]
STATUSES += [stock_pb2.STOCK_STATUS_IN_STOCK, stock_pb2.STOCK_STATUS_PRESALE] * 4
PLATFORMS = [stock_pb2.PLATFORM_EBAY, stock_pb2.PLATFORM_GOAT]

Calls = st.SearchStrategy[Call]
callers = st.sampled_from(CALLERS)
skus = st.sampled_from(SKUS)
ttls = st.sampled_from([Duration(seconds=60), Duration(seconds=3600)])


def caller_metadata(call: Call) -> Sequence[tuple[str, str]]:
    """The metadata that names the caller."""
    role, _, actor_id = call.caller.partition(":")
    return (("actor-role", role), ("actor-id", actor_id))


def calls(books: Books) -> Calls:
    """Any call; most are upon reservations, and most of those upon one that is open."""
    known, open_ = list(books.holds), _open(books)
    fresh = st.just(f"r{len(known)}")
    kinds = ["reserve"] * 5 + ["change"] * 5 + ["unknown"]
    kinds += ["resolve"] * 7 if open_ else []
    kinds += ["resolve late", "reserve again"] if known else []

    def of_kind(kind: str) -> Calls:
        match kind:
            case "reserve":
                return reserving(books, fresh)
            case "reserve again":
                return reserving(books, st.sampled_from(known))
            case "change":
                return skus.flatmap(lambda sku: changing(books, sku))
            case _:
                keys = {"resolve": open_, "resolve late": known}.get(kind)
                return (st.sampled_from(keys) if keys else fresh).flatmap(lambda key: resolving(books, key))

    return st.sampled_from(kinds).flatmap(of_kind)


def pairs(books: Books) -> st.SearchStrategy[tuple[Call, Call]]:
    """Two calls, often upon the same reservation or the same stock."""
    rivals = [skus.flatmap(lambda sku: st.tuples(changing(books, sku), changing(books, sku)))]
    if open_ := _open(books):
        keys = st.sampled_from(open_)
        rivals += [keys.flatmap(lambda key: st.tuples(resolving(books, key), resolving(books, key)))]
    return st.one_of(st.tuples(calls(books), calls(books)), *rivals)


def reserving(books: Books, keys: st.SearchStrategy[str]) -> Calls:
    """ReserveStock of a few units, or of about all that can be had; lines of one sku may come twice."""
    wishes = {sku: st.sampled_from([1, 2, 3] * 2 + _limits(books, sku)) for sku in SKUS[:3]}
    quantities = st.sampled_from(list(wishes)).flatmap(
        lambda sku: st.fixed_dictionaries(
            {sku: wishes[sku]}, optional={other: wishes[other] for other in wishes if other != sku}
        )
    )

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
    version = hold.version if hold else 1
    stale = st.sampled_from(_etags(f"v{version}", f"v{version + 1}"))
    # Now and then one unit more than is held.
    within = {sku: st.integers(0, most + 1) for sku, most in hold.lines.items()} if hold else {}
    parts = st.fixed_dictionaries(within).map(lambda part: {sku: n for sku, n in part.items() if n})

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
    verbs = {
        "whole": st.builds(commit, st.just({}), stale, callers_),
        "part": st.builds(commit, parts, stale, callers_),
        "release": st.builds(release, stale, callers_),
        "extend": st.builds(extend, ttls, stale, callers_),
    }
    return st.sampled_from(["whole", "part", "part", "release", "extend"]).flatmap(lambda verb: verbs[verb])


def changing(books: Books, sku: str) -> Calls:
    """Any change of one stock."""
    shelf = books.shelves.get(sku)
    quantity = shelf.quantity if shelf else 0
    # Nobody knows the etag of a stock that is being created.
    present = shelf.etag if shelf else "0v1"
    others = (f"{shelf.life}v{shelf.version + 1}", "1v1") if shelf else ()
    etags = st.sampled_from(_etags(present, *others))
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
    deltas = st.integers(-9, -1) | st.integers(1, 15) | st.sampled_from([-n for n in _limits(books, sku)])
    return st.one_of(
        st.builds(adjust, deltas, st.sampled_from(REASONS), etags),
        st.builds(adjust, deltas, st.sampled_from(REASONS), etags),
        st.builds(count, st.integers(0, 20), st.sampled_from([quantity, quantity, quantity + 1])),
        st.builds(change_status, st.sampled_from(STATUSES), etags),
        st.builds(add, platforms, listing_ids, etags),
        st.builds(end, platforms, listing_ids),
        st.builds(
            lambda opening: Call("CreateStock", stock_pb2.CreateStockRequest(sku=sku, quantity=opening)),
            st.integers(0, 8),
        ),
        st.builds(lambda etag: Call("DeleteStock", stock_pb2.DeleteStockRequest(sku=sku, etag=etag)), etags),
    )


def _etags(present: str, *others: str) -> list[str]:
    """Mostly none; the present one; those that are not, or not for sure."""
    return ["", "", "", "", present, present, *others]


def _open(books: Books) -> list[str]:
    return [key for key, hold in books.holds.items() if hold.state == "HELD"]


def _limits(books: Books, sku: str) -> list[int]:
    """What can be had of a stock at once, with and without the holds that are due; and a unit more."""
    if sku not in books.shelves:
        return [1]
    free = books.shelves[sku].quantity - books.reserved(sku)
    due = sum(hold.lines.get(sku, 0) for hold in books.holds.values() if hold.due)
    return [most for most in (free, free + 1, free + due, free + due + 1) if most > 0]
