"""The part of OpsService that speaks of the outbox."""

from collections.abc import Callable

from holdfast.ops.v1 import ops_pb2 as pb

from delivery_service.application.outbox_ports import CommandState, OutboxEntry
from delivery_service.application.requeue_outbox import RequeueOutbox, requeue_outbox
from delivery_service.rpc.caller import current_operator
from delivery_service.rpc.request_unit_of_work import RequestUnitOfWork
from servicekit.errors import OutboxEntryNotFound
from servicekit.operations import outboxes
from servicekit.persistence.transactions import Transactions
from servicekit.rpc.context import Context
from servicekit.rpc.mutations import Mutations
from servicekit.rpc.paging import one_page
from servicekit.rpc.times import timestamp


class Outbox:
    """Lists what still has to reach inventory, and puts back what is parked."""

    def __init__(
        self,
        transactions: Transactions[RequestUnitOfWork],
        mutations: Mutations[RequestUnitOfWork],
        nudge_relay: Callable[[], None],
    ) -> None:
        self._transactions = transactions
        self._mutations = mutations
        self._nudge_relay = nudge_relay

    async def list_entries(self, request: pb.ListOutboxRequest) -> pb.ListOutboxResponse:
        """Raises FieldInvalid, PageTokenMismatch."""
        wanted = outboxes.list_outbox(request)
        state = CommandState(wanted.state) if wanted.state else None
        found = await self._transactions.read(
            lambda uow: uow.outbox_entries.list_entries(state, wanted.page.size + 1, wanted.after)
        )
        entries, token = one_page(
            request, wanted.page, found, lambda entry: (str(entry.entry_id),), entry_message
        )
        return pb.ListOutboxResponse(entries=entries, next_page_token=token)

    async def requeue(self, request: pb.RequeueOutboxRequest, context: Context) -> pb.RequeueOutboxResponse:
        """Raises FieldInvalid, CallerNotAllowed, OutboxEntryNotFound."""
        wanted = outboxes.requeue_outbox(request)
        command = RequeueOutbox(wanted.entry_id, wanted.note, current_operator(request.request_id))

        async def work(uow: RequestUnitOfWork) -> pb.RequeueOutboxResponse:
            entry = await requeue_outbox(command, uow)
            if entry is None:
                raise OutboxEntryNotFound(command.entry_id)
            return pb.RequeueOutboxResponse(entry=entry_message(entry))

        reply = await self._mutations.run(request, work, pb.RequeueOutboxResponse, context=context)
        self._nudge_relay()
        return reply


def entry_message(entry: OutboxEntry) -> pb.OutboxEntry:
    """The entry on the wire."""
    return pb.OutboxEntry(
        entry_id=str(entry.entry_id),
        aggregate=entry.package_sn,
        aggregate_version=entry.package_version,
        kind=entry.command.lower(),
        state=pb.OutboxState.Value(f"OUTBOX_STATE_{entry.state}"),
        attempts=entry.attempts,
        last_error=entry.last_error or "",
        create_time=timestamp(entry.create_time),
        next_attempt_time=timestamp(entry.next_attempt_time),
    )
