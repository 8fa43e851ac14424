"""Reservations: their four verbs, their lists, and how they are shown."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta

from google.protobuf.duration_pb2 import Duration
from holdfast.inventory.v1 import reservation_pb2 as pb

from inventory_service.application.reservation_ports import ReservationFilter
from inventory_service.domain.commands import (
    Actor,
    CommitReservation,
    ExtendReservation,
    ReleaseReservation,
    ReserveStock,
)
from inventory_service.domain.errors import InsufficientStock
from inventory_service.domain.reservation import Reservation
from inventory_service.rpc.messages.words import STATES, number
from servicekit.rpc import etags
from servicekit.rpc.paging import Page, requested_page
from servicekit.rpc.times import timestamp
from servicekit.rpc.validation import Violations

MOST_LINES = 200
LEAST_TTL_SECONDS = 1
MOST_TTL_SECONDS = 7 * 24 * 3600


def reserve_stock(request: pb.ReserveStockRequest, actor: Actor) -> ReserveStock:
    """Lines of one sku are summed. Raises FieldInvalid."""
    with Violations() as v:
        v.request_id(request.request_id)
        return ReserveStock(
            reservation_id=v.name("reservation_id", request.reservation_id),
            holder=v.name("holder", request.holder),
            quantities=quantities(v, request.lines, least=1),
            ttl=_ttl(v, request.ttl) if request.HasField("ttl") else None,
            actor=actor,
        )


def commit_reservation(request: pb.CommitReservationRequest, actor: Actor) -> CommitReservation:
    """Raises FieldInvalid."""
    with Violations() as v:
        v.request_id(request.request_id)
        return CommitReservation(
            reservation_id=v.name("reservation_id", request.reservation_id),
            quantities=quantities(v, request.lines, least=0) if request.lines else None,
            actor=actor,
            expected_version=etags.version(v, "etag", request.etag),
        )


def release_reservation(request: pb.ReleaseReservationRequest, actor: Actor) -> ReleaseReservation:
    """Raises FieldInvalid."""
    with Violations() as v:
        v.request_id(request.request_id)
        return ReleaseReservation(
            reservation_id=v.name("reservation_id", request.reservation_id),
            actor=actor,
            expected_version=etags.version(v, "etag", request.etag),
        )


def extend_reservation(request: pb.ExtendReservationRequest, actor: Actor) -> ExtendReservation:
    """Raises FieldInvalid."""
    with Violations() as v:
        v.request_id(request.request_id)
        return ExtendReservation(
            reservation_id=v.name("reservation_id", request.reservation_id),
            ttl=_ttl(v, request.ttl),
            actor=actor,
            expected_version=etags.version(v, "etag", request.etag),
        )


def reservation_id(request: pb.GetReservationRequest) -> str:
    """The id asked for. Raises FieldInvalid."""
    with Violations() as v:
        return v.name("reservation_id", request.reservation_id)


def list_reservations(request: pb.ListReservationsRequest) -> tuple[ReservationFilter, Page]:
    """Raises FieldInvalid, PageTokenMismatch."""
    with Violations() as v:
        page = requested_page(v, request)
        wanted = ReservationFilter(
            holder=v.optional_name("holder", request.holder),
            sku=v.optional_name("sku", request.sku),
            state=v.optional_choice("state", request.state, STATES),
            expire_before=v.instant("expire_before", request.expire_before)
            if request.HasField("expire_before")
            else None,
        )
        return wanted, page


def quantities(v: Violations, lines: Sequence[pb.ReservationLine], *, least: int) -> Mapping[str, int]:
    """Units by sku, in the order given; lines of one sku are summed. At least so many lines are wanted.

    Of too many only the first are looked at: to judge a hundred thousand would hold up everybody else's calls.
    """
    v.count("lines", len(lines), least=least, most=MOST_LINES)
    summed: Counter[str] = Counter()
    for index, line in enumerate(lines[:MOST_LINES]):
        sku = v.name(f"lines[{index}].sku", line.sku)
        summed[sku] += v.quantity(f"lines[{index}].quantity", line.quantity, least=1)
        if line.committed_quantity:
            v.add(f"lines[{index}].committed_quantity", "is set by the service only")
    return dict(summed)


def reservation_key(reservation: Reservation) -> tuple[str, ...]:
    """What the page after this reservation begins behind."""
    return (reservation.create_time.isoformat(), reservation.reservation_id)


def reservation_message(reservation: Reservation) -> pb.Reservation:
    """The reservation as callers see it."""
    return pb.Reservation(
        reservation_id=reservation.reservation_id,
        holder=reservation.holder,
        state=number(STATES, reservation.state),
        lines=[
            pb.ReservationLine(
                sku=line.sku, quantity=line.quantity, committed_quantity=line.committed_quantity
            )
            for line in reservation.lines
        ],
        tombstone=reservation.tombstone,
        created_by=reservation.created_by,
        create_time=timestamp(reservation.create_time),
        expire_time=timestamp(reservation.expire_time),
        resolve_time=timestamp(reservation.resolve_time),
        etag=etags.etag(reservation.version),
    )


def shortage_details(error: InsufficientStock) -> pb.ShortageDetails:
    """What was short, for programs."""
    return pb.ShortageDetails(
        shortages=[
            pb.Shortage(
                sku=shortage.sku,
                requested_quantity=shortage.requested,
                available_quantity=shortage.available,
            )
            for shortage in error.shortages
        ]
    )


def _ttl(v: Violations, ttl: Duration) -> timedelta:
    seconds = v.seconds("ttl", ttl, least=LEAST_TTL_SECONDS, most=MOST_TTL_SECONDS)
    return timedelta(seconds=seconds)
