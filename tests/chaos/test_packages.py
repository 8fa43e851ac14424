"""What is stuck is told of, however much of it there is."""

import asyncio
from pathlib import Path

import pytest
from holdfast.delivery.v1 import package_pb2 as pb

from chaos import packages
from chaos.campaign import Trial
from tests.support.services import Pair
from tests.support.town import Town


async def test_many_packages_that_are_stuck_are_waited_for_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packages, "STUCK_SECONDS", 0.5)
    town, trial = Town(Pair("", "", tmp_path)), Trial(1, 7, tmp_path)
    states = {f"PG{number}": pb.STOCK_STATE_REQUESTED for number in range(20)} | {"PG7": pb.STOCK_STATE_HELD}

    async def get(package_sn: str) -> pb.Package:
        return pb.Package(package_sn=package_sn, stock_state=states[package_sn])

    monkeypatch.setattr(town, "get", get)
    async with asyncio.timeout(3):
        await packages.require_settled(trial, town, dict.fromkeys(states, pb.STOCK_STATE_HELD))
    await town.close()

    assert trial.violations == [
        f"PG{number} stays STOCK_STATE_REQUESTED" for number in range(20) if number != 7
    ]
