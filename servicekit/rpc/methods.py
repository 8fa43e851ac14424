"""What the methods of a service share: one way to read, one to change."""

from collections.abc import Awaitable, Callable
from typing import ClassVar, Generic, TypeVar

from google.protobuf.message import Message

from servicekit.persistence.requests import WithRequests
from servicekit.persistence.transactions import Transactions
from servicekit.rpc.context import Context
from servicekit.rpc.mutations import Mutations

U = TypeVar("U", bound=WithRequests)
Result = TypeVar("Result")
Reply = TypeVar("Reply", bound=Message)


class Methods(Generic[U]):
    """A part of a service: some of its methods."""

    know_their_effect: ClassVar[bool] = False
    """Whether mutations that do not say otherwise know their own earlier effect, even without a request_id."""

    def __init__(self, transactions: Transactions[U], mutations: Mutations[U]) -> None:
        self._transactions = transactions
        self._mutations = mutations

    async def _change(
        self,
        request: Message,
        use_case: Callable[[U], Awaitable[Result]],
        render: Callable[[Result], Reply],
        reply: type[Reply],
        context: Context,
        *,
        name: str = "",
        repeatable: bool | None = None,
        about: str | None = None,
    ) -> Reply:
        """Runs the use case as a mutation; `repeatable` ones know their own earlier effect.

        `about` names the one row that it changes, if it is one: it queues for that with others about the same.
        """

        async def work(uow: U) -> Reply:
            return render(await use_case(uow))

        return await self._mutations.run(
            request,
            work,
            reply,
            context=context,
            name=name,
            repeatable=self.know_their_effect if repeatable is None else repeatable,
            about=about,
        )
