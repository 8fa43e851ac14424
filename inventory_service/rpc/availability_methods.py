"""Availability: what could be reserved now, and why no more."""

from holdfast.inventory.v1 import reservation_pb2 as pb

from inventory_service.application.check_availability import check_availability
from inventory_service.application.explain_availability import explain_availability
from inventory_service.rpc.messages import availability, stock
from inventory_service.rpc.methods import Methods
from servicekit.rpc.context import Context


class AvailabilityMethods(Methods):
    """The part of InventoryService that gives advice; each answer is read from one snapshot."""

    async def CheckAvailability(
        self, request: pb.CheckAvailabilityRequest, context: Context
    ) -> pb.CheckAvailabilityResponse:
        quantities = availability.check_availability(request)
        lines = await self._transactions.read(
            lambda uow: check_availability(quantities, uow), one_snapshot=True
        )
        return availability.availability_message(lines)

    async def ExplainAvailability(
        self, request: pb.ExplainAvailabilityRequest, context: Context
    ) -> pb.ExplainAvailabilityResponse:
        sku = stock.sku(request)
        explained = await self._transactions.read(
            lambda uow: explain_availability(sku, uow), one_snapshot=True
        )
        return availability.explanation_message(explained)
