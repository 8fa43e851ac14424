"""The checks that OpsService runs here, by name, and the repair of what they find."""

from collections.abc import AsyncIterator, Callable, Mapping
from datetime import timedelta

from holdfast.ops.v1 import ops_pb2 as pb

from delivery_service.application.check_consistency import (
    check_events,
    check_mapping,
    check_orders,
    check_outbox,
    check_proofs,
)
from delivery_service.application.check_evidence import check_photos
from delivery_service.application.check_reservations import check_reservations
from delivery_service.application.consistency_ports import Inconsistency, RepairRecord
from delivery_service.application.photo_ports import PhotoReader, PhotoStore
from delivery_service.application.reconcile import Reconciler
from delivery_service.application.repairing import Operator
from delivery_service.application.stock_ports import Inventory
from delivery_service.domain.errors import CallerNotAllowed
from delivery_service.rpc.caller import current_actor, current_trace
from delivery_service.rpc.request_unit_of_work import RequestUnitOfWork
from servicekit.calls import current_call
from servicekit.context import Context
from servicekit.mutations import REPLAYED, digest
from servicekit.ops import ConsistencyCheck, Finding, Repair
from servicekit.requests import RequestKey
from servicekit.tasks import Tasks
from servicekit.transactions import Transactions

OPERATORS = ("system", "dispatcher")
BATCH = 200

Checks = Mapping[str, Callable[[], AsyncIterator[Inconsistency]]]


def checks_of(
    transactions: Transactions[RequestUnitOfWork],
    inventory: Inventory,
    photos: PhotoStore,
    reader: PhotoReader,
) -> Checks:
    """`reservations` asks inventory too, `photos` reads every photo; the others look at this database.

    In this order they are repaired: where a package is decides which legs it takes and what its stock should be.
    """
    return {
        "events": lambda: check_events(transactions),
        "mapping": lambda: check_mapping(transactions),
        "orders": lambda: check_orders(transactions),
        "proofs": lambda: check_proofs(transactions),
        "outbox": lambda: check_outbox(transactions),
        "reservations": lambda: check_reservations(transactions, inventory),
        "photos": lambda: check_photos(transactions, photos, reader),
    }


def consistency_checks(checks: Checks) -> Mapping[str, ConsistencyCheck]:
    """The checks as OpsService runs them."""
    return {name: _check(name, look) for name, look in checks.items()}


def _check(name: str, look: Callable[[], AsyncIterator[Inconsistency]]) -> ConsistencyCheck:
    async def check() -> AsyncIterator[Finding]:
        async for found in look():
            yield _finding(name, found)

    return check


class Reconciliation:
    """OpsService.Reconcile of this service."""

    def __init__(
        self,
        transactions: Transactions[RequestUnitOfWork],
        tasks: Tasks,
        inventory: Inventory,
        photos: PhotoStore,
        reader: PhotoReader,
        checks: Checks,
        quiet: timedelta,
    ) -> None:
        """`quiet` is longer than a command's lease and call together."""
        self._transactions = transactions
        self._tasks = tasks
        self._inventory = inventory
        self._photos = photos
        self._reader = reader
        self._checks = checks
        self._quiet = quiet

    async def __call__(self, request: pb.ReconcileRequest, context: Context) -> AsyncIterator[Repair]:
        """Raises ActorMissing, CallerNotAllowed, RequestIdReused."""
        caller = current_call().caller
        if caller.role not in OPERATORS:
            raise CallerNotAllowed(caller.name, OPERATORS)
        by = Operator(current_actor(), request.request_id, current_trace())
        validate_only = request.validate_only if request.HasField("validate_only") else True
        reconciler = Reconciler(
            self._transactions, self._inventory, self._photos, self._reader, self._quiet, by, validate_only
        )
        key = None
        if request.request_id and not validate_only:
            key = RequestKey(caller.name, current_call().method, request.request_id, digest(request))
            ended = await self._claim(key)
            if ended:
                await context.send_initial_metadata((REPLAYED,))
            async for made in self._made(by):
                yield made
            if ended:
                return
        for name, look in self._checks.items():
            if request.checks and name not in request.checks:
                continue
            async for found in look():
                # The caller may leave in the midst; a repair that was begun goes on to its end.
                repaired = await self._tasks.run(reconciler.repair(name, found))
                if repaired is not None:
                    yield Repair(_finding(name, found), repaired.what, repaired.done)
        if key is not None:
            await self._end(key)

    async def _claim(self, key: RequestKey) -> bool:
        """Whether the request ran to its end before; one that did not is taken up again."""

        async def work(uow: RequestUnitOfWork) -> bytes | None:
            return await uow.requests.claim(key)

        return await self._transactions.run(work, repeatable=True) is not None

    async def _end(self, key: RequestKey) -> None:
        async def work(uow: RequestUnitOfWork) -> None:
            await uow.requests.answer(key, b"ended")

        await self._transactions.run(work, repeatable=True)

    async def _made(self, by: Operator) -> AsyncIterator[Repair]:
        """What this request repaired before."""
        after = 0
        while True:

            async def page(uow: RequestUnitOfWork, after: int = after) -> list[tuple[int, RepairRecord]]:
                return await uow.repairs.list_repairs(str(by.actor), by.request_id, after, BATCH)

            records = await self._transactions.read(page)
            if not records:
                return
            after = records[-1][0]
            for _, record in records:
                yield Repair(_finding(record.check, record.found), record.repair, True)


def _finding(check: str, found: Inconsistency) -> Finding:
    return Finding(check, found.subject, found.description, found.facts)
