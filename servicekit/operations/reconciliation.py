"""The way of a Reconcile call: finding by finding, and with a request_id, so that a repeat tells what it made."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Generic, Protocol, TypeVar

from holdfast.ops.v1 import ops_pb2 as pb

from servicekit.operations.consistency import Repair
from servicekit.persistence.requests import RequestKey, WithRequests
from servicekit.persistence.transactions import Transactions
from servicekit.rpc.calls import current_call
from servicekit.rpc.context import Context
from servicekit.rpc.mutations import REPLAYED, digest
from servicekit.tasks import Tasks

PAGE = 200

U = TypeVar("U", bound=WithRequests)
F = TypeVar("F")
"""What a service's checks find."""
U_contra = TypeVar("U_contra", contravariant=True)
F_contra = TypeVar("F_contra", contravariant=True)


class Repairs(Protocol[U_contra, F_contra]):
    """The repairs of one call, made for its caller."""

    async def repair(self, check: str, found: F_contra) -> Repair | None:
        """Looks again under the locks, in one transaction; None where the records agree by now."""

    async def made(self, uow: U_contra, after: int, size: int) -> Sequence[tuple[int, Repair]]:
        """What this caller has had done under this request_id, oldest first, by number; a page behind a number."""


class Reconciliation(Generic[U, F]):
    """OpsService.Reconcile over a service's checks, in their order, and its repairs."""

    def __init__(
        self,
        transactions: Transactions[U],
        tasks: Tasks,
        checks: Mapping[str, Callable[[], AsyncIterator[F]]],
        begin: Callable[[str, bool], Repairs[U, F]],
    ) -> None:
        """`begin` is given the request_id, and whether only to say what would be done; it raises what refuses the
        caller.
        """
        self._transactions = transactions
        self._tasks = tasks
        self._checks = checks
        self._begin = begin

    async def __call__(self, request: pb.ReconcileRequest, context: Context) -> AsyncIterator[Repair]:
        """Raises RequestIdReused, and what `begin` raises."""
        validate_only = request.validate_only if request.HasField("validate_only") else True
        repairs = self._begin(request.request_id, validate_only)
        key = None
        if request.request_id and not validate_only:
            call = current_call()
            key = RequestKey(call.caller.name, call.method, request.request_id, digest(request))
            ended = await self._claim(key)
            if ended:
                await context.send_initial_metadata((REPLAYED,))
            async for made in self._made(repairs):
                yield made
            if ended:
                return
        for name, look in self._checks.items():
            if request.checks and name not in request.checks:
                continue
            async for found in look():
                # The caller may leave in the midst; a repair that was begun goes on to its end.
                repair = await self._tasks.run(repairs.repair(name, found))
                if repair is not None:
                    yield repair
        if key is not None:
            await self._end(key)

    async def _claim(self, key: RequestKey) -> bool:
        """Whether the request ran to its end before; one that did not is taken up again."""

        async def work(uow: U) -> bytes | None:
            return await uow.requests.claim(key)

        return await self._transactions.run(work, repeatable=True) is not None

    async def _made(self, repairs: Repairs[U, F]) -> AsyncIterator[Repair]:
        """What the request repaired before. Beside its repairs may stand what another method did under this id."""
        after = 0
        while True:

            async def page(uow: U, after: int = after) -> Sequence[tuple[int, Repair]]:
                return await repairs.made(uow, after, PAGE)

            numbered = await self._transactions.read(page)
            if not numbered:
                return
            after, _ = numbered[-1]
            for _, repair in numbered:
                if repair.finding.check in self._checks:
                    yield repair

    async def _end(self, key: RequestKey) -> None:
        async def work(uow: U) -> None:
            await uow.requests.answer(key, b"ended")

        await self._transactions.run(work, repeatable=True)
