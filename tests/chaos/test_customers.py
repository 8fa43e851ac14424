"""A customer outwaits the faults, and no more."""

import asyncio
import time
from pathlib import Path

import pytest
from holdfast.delivery.v1 import package_pb2 as pb

from chaos import customers
from chaos.campaign import Trial
from tests.support.services import Pair
from tests.support.town import Town


async def test_goods_that_do_not_come_are_told_of_so_long_after_the_last_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(customers, "STUCK_SECONDS", 1.0)
    monkeypatch.setattr(customers, "LOOK_SECONDS", 0.1)
    town = Town(Pair("", "", tmp_path))
    trial = Trial(1, 7, tmp_path, until=time.monotonic() + 0.3)

    async def get(package_sn: str) -> pb.Package:
        return pb.Package(stock_state=pb.STOCK_STATE_REQUESTED)

    monkeypatch.setattr(town, "get", get)
    async with asyncio.timeout(1.7):
        with pytest.raises(AssertionError, match="PG1 stays STOCK_STATE_REQUESTED"):
            await customers.Customers(trial, town)._wait_for_goods("PG1")
    await town.close()

    assert time.monotonic() >= trial.until + 1.0
