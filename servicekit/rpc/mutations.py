"""What every mutation shares: a task of its own, one transaction, the request log, the replay."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from typing import Any, Generic, TypeVar

from google.protobuf.message import Message

from servicekit.errors import DeadlineTooShort
from servicekit.persistence.requests import RequestKey, WithRequests
from servicekit.persistence.transactions import Transactions
from servicekit.rpc.calls import current_call
from servicekit.rpc.context import Context
from servicekit.rpc.turns import Turns
from servicekit.tasks import Tasks

LEAST_SECONDS = 0.05
REPLAYED = ("idempotent-replayed", "true")


U = TypeVar("U", bound=WithRequests)
Reply = TypeVar("Reply", bound=Message)


class Mutations(Generic[U]):
    """Runs the effect of a call at most once for each request_id."""

    def __init__(self, transactions: Transactions[U], tasks: Tasks) -> None:
        self._transactions = transactions
        self._tasks = tasks
        self._turns = Turns(transactions.has_room)

    async def run(
        self,
        request: Message,
        work: Callable[[U], Awaitable[Reply]],
        reply: type[Reply],
        *,
        context: Context,
        name: str = "",
        repeatable: bool = False,
        about: str | None = None,
    ) -> Reply:
        """The reply of `outcome`; a stored one is announced by the metadata `idempotent-replayed: true`."""
        answer, replayed = await self.outcome(
            request, work, reply, name=name, repeatable=repeatable, about=about
        )
        if replayed:
            await context.send_initial_metadata((REPLAYED,))
        return answer

    async def outcome(
        self,
        request: Message,
        work: Callable[[U], Awaitable[Reply]],
        reply: type[Reply],
        *,
        name: str = "",
        repeatable: bool = False,
        about: str | None = None,
    ) -> tuple[Reply, bool]:
        """Runs `work` in a transaction with its request record; answers its reply, and whether it is a stored one.

        An equal request answers the stored reply. The work goes on when the caller leaves, within the time that
        the call had. `repeatable` says that the work knows its own earlier effect even without a request_id; `about`
        names the row that it changes: work about one that others have locked keeps no other work waiting.
        Raises DeadlineTooShort, RequestIdReused, and what Transactions.run raises; TimeoutError when the time
        runs out, with the outcome unknown.
        """
        key = begin(request)

        async def unit(uow: U) -> tuple[Reply, bool]:
            if key is None:
                return await work(uow), False
            earlier = await uow.requests.claim(key)
            if earlier is not None:
                return reply.FromString(earlier), True
            answer = await work(uow)
            await uow.requests.answer(key, answer.SerializeToString())
            return answer, False

        async def bounded() -> tuple[Reply, bool]:
            turn = nullcontext(False) if about is None else self._turns.of(about)
            async with asyncio.timeout(current_call().remaining()), turn as waited:
                # Whoever has waited for its turn is not told then that there is no room.
                transactions = self._transactions.patient() if waited else self._transactions
                return await transactions.run(unit, name=name, repeatable=repeatable or key is not None)

        return await self._tasks.run(bounded())


def begin(request: Message) -> RequestKey | None:
    """The key under which the answer goes on record, if the caller gave an id. Raises DeadlineTooShort."""
    call = current_call()
    if call.remaining() < LEAST_SECONDS:
        raise DeadlineTooShort
    request_id = getattr(request, "request_id", "")
    return RequestKey(call.caller.name, call.method, request_id, digest(request)) if request_id else None


def digest(request: Message) -> str:
    """SHA-256 (hex) of a request's fields, its request_id and unknown fields left out."""
    copy: Any = type(request)()
    copy.CopyFrom(request)
    copy.ClearField("request_id")
    copy.DiscardUnknownFields()
    return hashlib.sha256(copy.SerializeToString(deterministic=True)).hexdigest()
