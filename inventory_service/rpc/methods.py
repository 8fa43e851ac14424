"""What the parts of InventoryService share: one way to read, one to change."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from google.protobuf.message import Message
from holdfast.inventory.v1 import inventory_pb2_grpc

from inventory_service.rpc.work import Work
from servicekit.context import Context
from servicekit.mutations import Mutations
from servicekit.transactions import Transactions

Result = TypeVar("Result")
Reply = TypeVar("Reply", bound=Message)


class Methods(inventory_pb2_grpc.InventoryServiceServicer):
    """A part of InventoryService; the methods of the others are not its own."""

    def __init__(self, transactions: Transactions[Work], mutations: Mutations[Work]) -> None:
        self._transactions = transactions
        self._mutations = mutations

    async def _change(
        self,
        request: Message,
        use_case: Callable[[Work], Awaitable[Result]],
        render: Callable[[Result], Reply],
        reply: type[Reply],
        context: Context,
        *,
        name: str = "",
        repeatable: bool = False,
    ) -> Reply:
        """Runs the use case as a mutation; `repeatable` ones know their own earlier effect."""

        async def work(uow: Work) -> Reply:
            return render(await use_case(uow))

        return await self._mutations.run(
            request, work, reply, context=context, name=name, repeatable=repeatable
        )
