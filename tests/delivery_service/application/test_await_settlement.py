"""Waiting for inventory's answer: woken at once where it is recorded here, found by looking where it is not."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from holdfast.delivery.v1 import package_pb2 as pb
from sqlalchemy import event, text

from delivery_service.application.await_settlement import Settlements
from delivery_service.domain.workflow import StockState
from delivery_service.persistence.unit_of_work import SqlUnitOfWork
from servicekit.persistence.transactions import Transactions
from tests.delivery_service.client import Delivery
from tests.delivery_service.domain.builders import a_package


@pytest.fixture
async def requested(delivery: Delivery) -> AsyncIterator[str]:
    """A package that inventory has not answered for."""
    delivery.inventory.down = True
    package = await delivery.create("DRIVER_TO_USER")
    assert package.stock_state == pb.STOCK_STATE_REQUESTED
    async with delivery.engine.begin() as connection:
        await connection.execute(text("UPDATE outbox SET state = 2, lease_token = NULL"))
    yield package.package_sn


async def test_looking_becomes_less_frequent_the_longer_it_takes(delivery: Delivery, requested: str) -> None:
    looks = 0

    def count(*statement: object) -> None:
        nonlocal looks
        looks += "FROM tigu_prepare_goods \n" in str(statement[2])

    event.listen(delivery.engine.sync_engine, "before_cursor_execute", count)
    settlements = Settlements(Transactions(delivery.engine, SqlUnitOfWork))

    package = await settlements.settled(requested, 1.5)

    event.remove(delivery.engine.sync_engine, "before_cursor_execute", count)
    assert package.stock_state is StockState.REQUESTED
    assert 2 <= looks <= 8


async def test_an_answer_recorded_here_wakes_at_once(delivery: Delivery, requested: str) -> None:
    settlements = Settlements(Transactions(delivery.engine, SqlUnitOfWork))
    waiting = asyncio.create_task(settlements.settled(requested, 5))
    await asyncio.sleep(0.6)

    held = a_package(package_sn=requested, stock_state=StockState.HELD)
    settlements.notify(replace(held, package_sn="another"))
    settlements.notify(held)
    began = time.monotonic()

    assert await waiting == held
    assert time.monotonic() - began < 0.35
