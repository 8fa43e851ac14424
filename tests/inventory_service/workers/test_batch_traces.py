"""A batch answers many calls: it is in the trace of one of them, and linked to the others."""

import asyncio

import pytest

from inventory_service.application.answer_wishes import Answer
from servicekit import traces
from tests.inventory_service.client import Inventory
from tests.inventory_service.workers.tills import Till, locked, reserve, tilling
from tests.servicekit.waiting import until
from tests.support.collector import collecting

TRACES = [f"{digit}" * 32 for digit in (1, 2, 3)]


async def test_a_batch_is_in_the_trace_of_its_first_wish(
    inventory: Inventory, inventory_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def submit(till: Till, trace_id: str) -> Answer:
        with traces.span("call", of=[f"00-{trace_id}-{'a' * 16}-01"]):
            return await till.group_commit.submit(reserve(f"r{trace_id[0]}"))

    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    async with collecting() as collector, tilling(inventory, inventory_url) as till:
        traces.begin("inventory", collector.endpoint)
        async with locked(inventory, "A"):
            alone = asyncio.create_task(till.group_commit.submit(reserve("r0")))
            await until(lambda: till.batches == [1])
            calls = [asyncio.create_task(submit(till, trace_id)) for trace_id in TRACES]
            await asyncio.sleep(0.05)
        await asyncio.gather(alone, *calls)
        await traces.end()

    assert till.batches == [1, 3]
    (batch,) = collector.found(name="batch")
    assert (batch.trace, batch.links) == (TRACES[0], tuple(TRACES[1:]))
    (first,) = collector.found(name="call", trace=TRACES[0])
    assert batch.parent == first.span
    below = collector.found(parent=batch.span)
    assert {span.trace for span in below} == {TRACES[0]} and len(below) > 2
    # What nobody traced is in no trace.
    assert {span.trace for span in collector.spans} == set(TRACES)
