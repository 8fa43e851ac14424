"""What operators ask of a service's outbox, parsed the same on every service; and the one of a service without."""

from dataclasses import dataclass
from typing import Protocol

from holdfast.ops.v1 import ops_pb2 as pb

from servicekit.errors import OutboxEntryNotFound
from servicekit.rpc.context import Context
from servicekit.rpc.paging import Page, after_number, requested_page
from servicekit.rpc.validation import Violations

MOST_NOTE = 500

_STATES: dict[int, str] = {
    number: name.removeprefix("OUTBOX_STATE_") for name, number in pb.OutboxState.items() if number != 0
}


@dataclass(frozen=True)
class WantedEntries:
    """Entries in `state`, a word of the contract without its prefix; None is every state but DONE."""

    state: str | None
    after: int
    page: Page


@dataclass(frozen=True)
class Requeue:
    """Which entry to put back, and why."""

    entry_id: int
    note: str


class Outbox(Protocol):
    """The two methods of OpsService that speak of the outbox."""

    async def list_entries(self, request: pb.ListOutboxRequest) -> pb.ListOutboxResponse: ...

    async def requeue(self, request: pb.RequeueOutboxRequest, context: Context) -> pb.RequeueOutboxResponse:
        """Raises OutboxEntryNotFound where the entry is not parked, too."""


class NoOutbox:
    """Of a service that sends no commands."""

    async def list_entries(self, request: pb.ListOutboxRequest) -> pb.ListOutboxResponse:
        list_outbox(request)
        return pb.ListOutboxResponse()

    async def requeue(self, request: pb.RequeueOutboxRequest, context: Context) -> pb.RequeueOutboxResponse:
        raise OutboxEntryNotFound(requeue_outbox(request).entry_id)


def list_outbox(request: pb.ListOutboxRequest) -> WantedEntries:
    """Raises FieldInvalid, PageTokenMismatch."""
    with Violations() as violations:
        state = violations.optional_choice("state", request.state, _STATES)
        page = requested_page(violations, request)
    return WantedEntries(state, after_number(page) or 0, page)


def requeue_outbox(request: pb.RequeueOutboxRequest) -> Requeue:
    """Raises FieldInvalid."""
    with Violations() as violations:
        violations.request_id(request.request_id)
        entry_id = violations.decimal_id("entry_id", request.entry_id)
        note = violations.text("note", request.note, most=MOST_NOTE, required=True)
    return Requeue(entry_id, note)
