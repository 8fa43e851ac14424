"""Packages: making them, finding them, explaining them. The verbs are in `move_methods`."""

import asyncio

from holdfast.delivery.v1 import package_pb2 as pb

from delivery_service.application.create_package import create_package
from delivery_service.application.reads import explain_package, get_package, list_package_events
from delivery_service.application.retry_reservation import retry_reservation
from delivery_service.domain.errors import Unreadable
from delivery_service.domain.package_sn import new_package_sn
from delivery_service.rpc.caller import current_actor, current_trace
from delivery_service.rpc.messages import move, package
from delivery_service.rpc.messages.distribution import distribution_message
from delivery_service.rpc.methods import Methods
from delivery_service.rpc.request_unit_of_work import RequestUnitOfWork
from servicekit.crash_points import crash_point
from servicekit.errors import KitRefusal
from servicekit.rpc.calls import current_call
from servicekit.rpc.context import Context
from servicekit.rpc.paging import after_number, one_page

LONGEST_WAIT_SECONDS = 2.0
LAST_LOOK_SECONDS = 0.05
ANSWERING_SECONDS = 0.05


class PackageMethods(Methods):
    """The part of DeliveryService that speaks of packages."""

    async def CreatePackage(
        self, request: pb.CreatePackageRequest, context: Context
    ) -> pb.CreatePackageResponse:
        command = package.create_package(request, current_actor(), current_trace())
        reply = await self._change(
            request,
            lambda uow: create_package(command, uow, new_package_sn),
            lambda created: pb.CreatePackageResponse(package=package.package_message(created)),
            pb.CreatePackageResponse,
            context,
            name="create",
            repeatable=command.package_sn is not None,
        )
        self._nudge_relay()
        crash_point("create.after_nudge")
        settled = await self._settled(reply.package)
        crash_point("create.before_reply")
        return pb.CreatePackageResponse(package=settled)

    async def RetryReservation(
        self, request: pb.RetryReservationRequest, context: Context
    ) -> pb.RetryReservationResponse:
        command = move.retry_reservation(request, current_actor(), current_trace())
        reply = await self._change(
            request,
            lambda uow: retry_reservation(command, uow),
            lambda asking: pb.RetryReservationResponse(package=package.package_message(asking)),
            pb.RetryReservationResponse,
            context,
            repeatable=False,
        )
        self._nudge_relay()
        return pb.RetryReservationResponse(package=await self._settled(reply.package))

    async def GetPackage(self, request: pb.GetPackageRequest, context: Context) -> pb.GetPackageResponse:
        wanted = package.package_sn(request)
        found = await self._transactions.read(lambda uow: get_package(wanted, uow))
        return pb.GetPackageResponse(package=package.package_message(found))

    async def ListPackages(
        self, request: pb.ListPackagesRequest, context: Context
    ) -> pb.ListPackagesResponse:
        wanted, page = package.list_packages(request)
        before = after_number(page)
        found = await self._transactions.read(
            lambda uow: uow.packages.list_packages(wanted, page.size + 1, before)
        )
        packages, token = one_page(
            request, page, found, lambda row: (str(row.package_id),), package.package_message
        )
        return pb.ListPackagesResponse(packages=packages, next_page_token=token)

    async def ListAllowedTransitions(
        self, request: pb.ListAllowedTransitionsRequest, context: Context
    ) -> pb.ListAllowedTransitionsResponse:
        wanted, actor = package.package_sn(request), current_actor()
        found, explanations = await self._transactions.read(lambda uow: explain_package(wanted, actor, uow))
        return move.transitions_message(found, explanations)

    async def ListPackageEvents(
        self, request: pb.ListPackageEventsRequest, context: Context
    ) -> pb.ListPackageEventsResponse:
        wanted, page = move.list_package_events(request)
        after = after_number(page)

        found, photos = await self._transactions.read(
            lambda uow: list_package_events(wanted, page.size + 1, after, uow)
        )
        events, token = one_page(
            request,
            page,
            found,
            lambda event: (str(event.sequence),),
            lambda event: move.event_message(event, photos),
        )
        return pb.ListPackageEventsResponse(events=events, next_page_token=token)

    async def GetWorkflowDistribution(
        self, request: pb.GetWorkflowDistributionRequest, context: Context
    ) -> pb.GetWorkflowDistributionResponse:
        async def work(uow: RequestUnitOfWork) -> pb.GetWorkflowDistributionResponse:
            return distribution_message(await uow.packages.distribution(), await uow.packages.order_counts())

        return await self._transactions.read(work, one_snapshot=True)

    async def _settled(self, committed: pb.Package) -> pb.Package:
        """Waits a bounded while for inventory's answer; what was committed is the answer if that fails."""
        left = current_call().remaining() - ANSWERING_SECONDS
        seconds = min(LONGEST_WAIT_SECONDS, left - LAST_LOOK_SECONDS)
        try:
            async with asyncio.timeout(left):
                return package.package_message(await self._settlements.settled(committed.package_sn, seconds))
        except (KitRefusal, Unreadable, TimeoutError):
            return committed
