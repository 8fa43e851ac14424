"""One method a verb; all of them do the same with another row of the table."""

from holdfast.delivery.v1 import package_pb2 as pb

from delivery_service.application.move_package import move_package
from delivery_service.application.read_photo import check_proof_bytes
from delivery_service.domain.workflow import Verb
from delivery_service.rpc.caller import current_actor, current_trace
from delivery_service.rpc.messages import move
from delivery_service.rpc.messages.package import package_message
from delivery_service.rpc.methods import Methods
from servicekit.rpc.context import Context
from servicekit.rpc.methods import Reply

# Names of crash points around the commit; these verbs can be the one by which goods leave the shelf.
_TRANSACTION_NAMES = {
    Verb.PICK_UP: "pivot",
    Verb.RECEIVE: "pivot",
    Verb.DELIVER: "pivot",
    Verb.CANCEL: "cancel",
}


class MoveMethods(Methods):
    """The part of DeliveryService that moves packages on."""

    async def PreparePackage(
        self, request: pb.PreparePackageRequest, context: Context
    ) -> pb.PreparePackageResponse:
        return await self._move(request, Verb.PREPARE, pb.PreparePackageResponse, context)

    async def ClaimPackage(
        self, request: pb.ClaimPackageRequest, context: Context
    ) -> pb.ClaimPackageResponse:
        return await self._move(request, Verb.CLAIM, pb.ClaimPackageResponse, context)

    async def ReleaseClaim(
        self, request: pb.ReleaseClaimRequest, context: Context
    ) -> pb.ReleaseClaimResponse:
        return await self._move(request, Verb.RELEASE_CLAIM, pb.ReleaseClaimResponse, context)

    async def AssignDriver(
        self, request: pb.AssignDriverRequest, context: Context
    ) -> pb.AssignDriverResponse:
        return await self._move(request, Verb.ASSIGN_DRIVER, pb.AssignDriverResponse, context)

    async def PickUpPackage(
        self, request: pb.PickUpPackageRequest, context: Context
    ) -> pb.PickUpPackageResponse:
        return await self._move(request, Verb.PICK_UP, pb.PickUpPackageResponse, context)

    async def ArriveAtWarehouse(
        self, request: pb.ArriveAtWarehouseRequest, context: Context
    ) -> pb.ArriveAtWarehouseResponse:
        return await self._move(request, Verb.ARRIVE, pb.ArriveAtWarehouseResponse, context)

    async def ReceivePackage(
        self, request: pb.ReceivePackageRequest, context: Context
    ) -> pb.ReceivePackageResponse:
        return await self._move(request, Verb.RECEIVE, pb.ReceivePackageResponse, context)

    async def ShipPackage(self, request: pb.ShipPackageRequest, context: Context) -> pb.ShipPackageResponse:
        return await self._move(request, Verb.SHIP, pb.ShipPackageResponse, context)

    async def DeliverPackage(
        self, request: pb.DeliverPackageRequest, context: Context
    ) -> pb.DeliverPackageResponse:
        return await self._move(request, Verb.DELIVER, pb.DeliverPackageResponse, context)

    async def CompletePackage(
        self, request: pb.CompletePackageRequest, context: Context
    ) -> pb.CompletePackageResponse:
        return await self._move(request, Verb.COMPLETE, pb.CompletePackageResponse, context)

    async def CancelPackage(
        self, request: pb.CancelPackageRequest, context: Context
    ) -> pb.CancelPackageResponse:
        return await self._move(request, Verb.CANCEL, pb.CancelPackageResponse, context)

    async def _move(
        self, request: move.MoveRequest, verb: Verb, reply: type[Reply], context: Context
    ) -> Reply:
        command = move.move_package(request, verb, current_actor(), current_trace())
        if command.move.evidence_ids:
            async with self._proofs.place():
                await check_proof_bytes(command.move.evidence_ids, self._transactions, self._photo_store)
        # The same verb again is recognised by its event, so an unknown commit may be run again.
        answer = await self._change(
            request,
            lambda uow: move_package(command, uow),
            lambda moved: reply(package=package_message(moved)),
            reply,
            context,
            name=_TRANSACTION_NAMES.get(verb, "move"),
            about=command.package_sn,
        )
        self._nudge_relay()
        return answer
