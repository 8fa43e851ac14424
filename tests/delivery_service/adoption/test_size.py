"""Legacy data of any size is adopted in a memory that stays the same, and served.

HOLDFAST_ADOPTION_PACKAGES=200000 makes it the long form; its time and memory are printed (pytest -s).
"""

import os
import time
from pathlib import Path

from holdfast.delivery.v1 import package_pb2 as pb
from sqlalchemy.ext.asyncio import AsyncEngine

from delivery_service.adoption.run import Dialect
from tests.delivery_service.adoption.command import Command
from tests.delivery_service.adoption.legacy_database import Legacy, lay_out
from tests.delivery_service.adoption.report import check_table
from tests.delivery_service.adoption.serving import served

PACKAGES = int(os.environ.get("HOLDFAST_ADOPTION_PACKAGES", "123"))
MOST_MEGABYTES = 250


async def test_a_legacy_database_is_adopted_whole_and_served(
    engine: AsyncEngine,
    command: Command,
    delivery_engine: str,
    delivery_url: str,
    tmp_path: Path,
    folder: Path,
) -> None:
    began = time.monotonic()
    planted = await lay_out(engine, Legacy(packages=PACKAGES, dialect=Dialect.OF_2025_12))
    laid_out = time.monotonic()
    await engine.dispose()

    done = await command(
        "adopt", "--dialect", "2025-12", "--time-zone", "Europe/Berlin", "--backup", str(folder)
    )

    assert done.code == 0, done.errors + done.output
    print(
        f"\n{PACKAGES} packages, {planted.rows.total()} rows, on {delivery_engine}: laid out in"
        f" {laid_out - began:.1f} s, adopted in {time.monotonic() - laid_out:.1f} s,"
        f" {done.megabytes:.0f} MB at most\n{done.errors}\n{done.output}"
    )
    assert 0 < done.megabytes < MOST_MEGABYTES
    check_table(done.output, planted, Dialect.OF_2025_12)
    async with served(delivery_url, engine, tmp_path / "photos") as delivery:
        reply = await delivery.stub.GetWorkflowDistribution(pb.GetWorkflowDistributionRequest(), timeout=60)
        assert sum(share.packages for share in reply.workflows) == PACKAGES
        # An order of two packages is settled, and told, by the adoption.
        assert await delivery.findings("mapping", "events", "orders") == []
