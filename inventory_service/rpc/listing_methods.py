"""Listings: what is offered on which platform."""

from holdfast.inventory.v1 import stock_pb2 as pb

from inventory_service.application.change_listings import add_listing, end_listing, update_listing
from inventory_service.rpc.messages import listing
from inventory_service.rpc.messages.stock import stock_message
from inventory_service.rpc.methods import Methods
from servicekit.rpc.context import Context


class ListingMethods(Methods):
    """The part of InventoryService that speaks of offers on platforms."""

    async def AddListing(self, request: pb.AddListingRequest, context: Context) -> pb.AddListingResponse:
        command = listing.add_listing(request)
        return await self._change(
            request,
            lambda uow: add_listing(command, uow),
            lambda changed: pb.AddListingResponse(stock=stock_message(changed)),
            pb.AddListingResponse,
            context,
            about=command.sku,
        )

    async def UpdateListing(
        self, request: pb.UpdateListingRequest, context: Context
    ) -> pb.UpdateListingResponse:
        command = listing.update_listing(request)
        return await self._change(
            request,
            lambda uow: update_listing(command, uow),
            lambda changed: pb.UpdateListingResponse(stock=stock_message(changed)),
            pb.UpdateListingResponse,
            context,
            about=command.sku,
        )

    async def EndListing(self, request: pb.EndListingRequest, context: Context) -> pb.EndListingResponse:
        command = listing.end_listing(request)
        return await self._change(
            request,
            lambda uow: end_listing(command, uow),
            lambda changed: pb.EndListingResponse(stock=stock_message(changed)),
            pb.EndListingResponse,
            context,
            about=command.sku,
        )
