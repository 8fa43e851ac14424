"""History: what happened day by day."""

from collections.abc import Sequence
from datetime import datetime

from holdfast.inventory.v1 import reports_pb2 as pb

from inventory_service.domain.daily_fact import DailyFact
from inventory_service.rpc.messages import daily_fact
from inventory_service.rpc.methods import Methods
from inventory_service.rpc.request_unit_of_work import RequestUnitOfWork
from servicekit.rpc.context import Context
from servicekit.rpc.paging import one_page
from servicekit.rpc.times import timestamp


class HistoryMethods(Methods):
    """The part of InventoryService that answers from the daily facts."""

    async def ListDailyFacts(
        self, request: pb.ListDailyFactsRequest, context: Context
    ) -> pb.ListDailyFactsResponse:
        wanted, by_stock, page = daily_fact.list_daily_facts(request)
        after_stock = daily_fact.after_stock(page) if by_stock else None
        after_status = None if by_stock else daily_fact.after_status(page)

        async def work(uow: RequestUnitOfWork) -> tuple[datetime, Sequence[DailyFact]]:
            # The time first: facts that are read after it can only be fresher.
            through = await uow.daily_facts.through_time()
            if by_stock:
                return through, await uow.daily_facts.list_by_stock(wanted, page.size + 1, after_stock)
            return through, await uow.daily_facts.list_by_status(wanted, page.size + 1, after_status)

        through, found = await self._transactions.read(work)
        facts, token = one_page(request, page, found, daily_fact.fact_key, daily_fact.fact_message)
        return pb.ListDailyFactsResponse(
            facts=facts,
            next_page_token=token,
            facts_through_time=timestamp(through),
        )
