"""Movements: adjustments, the ledger's entries, and their lists."""

from holdfast.inventory.v1 import movement_pb2 as pb

from inventory_service.application.ports import MovementFilter
from inventory_service.domain.commands import Actor, AdjustStock, SetStockQuantity
from inventory_service.domain.movement import MovementReason, RecordedMovement
from inventory_service.domain.stock import MOST_UNITS
from inventory_service.rpc.messages.words import REASONS, number
from servicekit.rpc import etags
from servicekit.rpc.paging import Page, requested_page
from servicekit.rpc.times import timestamp
from servicekit.rpc.validation import Violations

MOST_ADJUSTMENTS = 500

_OWN_REASONS = (MovementReason.OPENING, MovementReason.SOLD)
_GIVEN_REASONS = {number: reason for number, reason in REASONS.items() if reason not in _OWN_REASONS}


def adjust_stock(request: pb.AdjustStockRequest, actor: Actor) -> AdjustStock:
    """Raises FieldInvalid."""
    with Violations() as v:
        v.request_id(request.request_id, required=True)
        return _adjustment(v, "", request, actor, etags.version(v, "etag", request.etag))


def batch_adjust_stocks(request: pb.BatchAdjustStocksRequest, actor: Actor) -> list[AdjustStock]:
    """Raises FieldInvalid."""
    with Violations() as v:
        v.request_id(request.request_id, required=True)
        v.count("adjustments", len(request.adjustments), least=1, most=MOST_ADJUSTMENTS)
        return [
            _adjustment(v, f"adjustments[{index}].", adjustment, actor)
            for index, adjustment in enumerate(request.adjustments[:MOST_ADJUSTMENTS])
        ]


def set_stock_quantity(request: pb.SetStockQuantityRequest, actor: Actor) -> SetStockQuantity:
    """Raises FieldInvalid."""
    with Violations() as v:
        v.request_id(request.request_id)
        if not request.HasField("expected_quantity"):
            v.add(
                "expected_quantity", "is required, so that a count never hides a change that it did not see"
            )
        return SetStockQuantity(
            sku=v.name("sku", request.sku),
            quantity=v.quantity("quantity", request.quantity),
            expected_quantity=v.quantity("expected_quantity", request.expected_quantity, most=MOST_UNITS),
            reference=v.text("reference", request.reference, most=200),
            note=v.text("note", request.note, most=500),
            actor=actor,
        )


def _adjustment(
    v: Violations,
    path: str,
    message: pb.AdjustStockRequest | pb.StockAdjustment,
    actor: Actor,
    expected_version: int | None = None,
) -> AdjustStock:
    reason = v.choice(f"{path}reason", message.reason, _GIVEN_REASONS)
    return AdjustStock(
        sku=v.name(f"{path}sku", message.sku),
        delta=v.delta(f"{path}delta", message.delta),
        reason=reason or MovementReason.OTHER,
        reference=v.text(f"{path}reference", message.reference, most=200),
        note=v.text(f"{path}note", message.note, most=500, required=reason is MovementReason.OTHER),
        actor=actor,
        expected_version=expected_version,
    )


def list_movements(request: pb.ListMovementsRequest) -> tuple[MovementFilter, Page]:
    """Raises FieldInvalid, PageTokenMismatch."""
    with Violations() as v:
        page = requested_page(v, request)
        wanted = MovementFilter(
            sku=v.optional_name("sku", request.sku),
            reason=v.optional_choice("reason", request.reason, REASONS),
            reference=v.text("reference", request.reference, most=200) or None,
            reservation_id=v.optional_name("reservation_id", request.reservation_id),
            start_time=v.instant("start_time", request.start_time)
            if request.HasField("start_time")
            else None,
            end_time=v.instant("end_time", request.end_time) if request.HasField("end_time") else None,
        )
        return wanted, page


def movement_key(movement: RecordedMovement) -> tuple[str, ...]:
    """What the page after this movement begins behind."""
    return (movement.create_time.isoformat(), str(movement.movement_id))


def movement_message(movement: RecordedMovement) -> pb.Movement:
    """The entry as callers see it."""
    return pb.Movement(
        movement_id=str(movement.movement_id),
        sku=movement.sku,
        delta=movement.delta,
        reason=number(REASONS, movement.reason),
        reference=movement.reference,
        note=movement.note,
        reservation_id=movement.reservation_id or "",
        actor=movement.actor,
        create_time=timestamp(movement.create_time),
    )
