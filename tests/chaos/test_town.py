"""Whoever insists asks again where nothing is known, and where there was no room; not where it was refused."""

from pathlib import Path

import grpc
import pytest

from tests.support.services import Pair
from tests.support.town import Town


async def insisted(folder: Path, code: grpc.StatusCode) -> str:
    """What comes of a call that is answered with this code first."""
    town = Town(Pair("", "", folder))
    told = [grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata())]

    async def call() -> str:
        if told:
            raise told.pop()
        return "done"

    try:
        return await town.insist(call)
    finally:
        await town.close()


@pytest.mark.parametrize("code", ["UNAVAILABLE", "DEADLINE_EXCEEDED", "ABORTED", "RESOURCE_EXHAUSTED"])
async def test_it_is_asked_again(tmp_path: Path, code: str) -> None:
    assert await insisted(tmp_path, grpc.StatusCode[code]) == "done"


async def test_what_is_refused_is_not_asked_again(tmp_path: Path) -> None:
    with pytest.raises(grpc.aio.AioRpcError, match="FAILED_PRECONDITION"):
        await insisted(tmp_path, grpc.StatusCode.FAILED_PRECONDITION)
