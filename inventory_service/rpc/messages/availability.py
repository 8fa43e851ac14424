"""What could be reserved and why: what callers ask, and see."""

from collections.abc import Iterable, Mapping

from google.protobuf.duration_pb2 import Duration
from holdfast.inventory.v1 import reservation_pb2 as pb

from inventory_service.domain.availability import Explanation, Hold, LineAvailability
from inventory_service.rpc.messages.movement import movement_message
from inventory_service.rpc.messages.reservation import quantities
from servicekit.rpc.times import timestamp
from servicekit.rpc.validation import Violations


def check_availability(request: pb.CheckAvailabilityRequest) -> Mapping[str, int]:
    """Units asked, by sku, in the order asked. Raises FieldInvalid."""
    with Violations() as v:
        return quantities(v, request.lines, least=1)


def availability_message(lines: Iterable[LineAvailability]) -> pb.CheckAvailabilityResponse:
    """Every line judged, and all together."""
    lines = list(lines)
    return pb.CheckAvailabilityResponse(
        available=all(line.sufficient for line in lines),
        lines=[
            pb.LineAvailability(
                sku=line.sku,
                requested_quantity=line.requested,
                available_quantity=line.available,
                reservable=line.reservable,
            )
            for line in lines
        ],
    )


def explanation_message(explained: Explanation) -> pb.ExplainAvailabilityResponse:
    """Everything that makes up the number."""
    return pb.ExplainAvailabilityResponse(
        sku=explained.sku,
        quantity=explained.quantity,
        reserved_quantity=explained.reserved,
        available_quantity=explained.available,
        ledger_quantity=explained.ledger,
        archived_quantity=explained.archived,
        holds=map(_hold, explained.holds),
        movements=map(movement_message, explained.movements),
    )


def _hold(hold: Hold) -> pb.Hold:
    age = Duration()
    age.FromTimedelta(hold.age)
    return pb.Hold(
        reservation_id=hold.reservation_id,
        holder=hold.holder,
        quantity=hold.quantity,
        create_time=timestamp(hold.create_time),
        expire_time=timestamp(hold.expire_time),
        age=age,
    )
