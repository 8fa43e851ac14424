"""A database that waits for an adoption, or for the end of a restore, is neither moved nor served."""

from pathlib import Path

import grpc
import pytest
from holdfast.delivery.v1 import directory_pb2
from sqlalchemy.ext.asyncio import AsyncEngine

from delivery_service.adoption.hindrance import hindrance
from tests.delivery_service.adoption.command import migrate
from tests.delivery_service.adoption.conftest import SCHEMA
from tests.delivery_service.adoption.legacy_database import Legacy, lay_out, state
from tests.delivery_service.adoption.serving import served
from tests.migrations.delivery.legacy import execute, write_legacy

ADOPT_IT = "is one of the legacy system; take it over with: delivery-service migrate adopt\n"


async def test_a_legacy_database_that_nobody_adopted_is_not_upgraded(
    engine: AsyncEngine, delivery_url: str
) -> None:
    await lay_out(engine, Legacy(packages=3))
    before = await state(engine)

    refused = [await migrate(delivery_url, word) for word in ("upgrade", "plan")]
    told = await migrate(delivery_url, "status")

    assert [(done.code, done.output) for done in refused] == [(1, ""), (1, "")]
    assert [done.errors.endswith(ADOPT_IT) for done in refused] == [True, True], refused
    assert (told.code, told.output.splitlines()[0]) == (3, "applied: nothing")
    assert told.output.endswith(f"hindered: this database {ADOPT_IT}")
    assert await state(engine) == before


@pytest.mark.parametrize("delivery_engine", ["mysql"])
async def test_a_first_upgrade_that_was_cut_short_goes_on_unless_somebody_filled_its_tables(
    engine: AsyncEngine, delivery_url: str
) -> None:
    killed = await migrate(delivery_url, "upgrade", "0001", HOLDFAST_CRASH_AT="migrate.before_version")
    assert killed.code == 137, killed.errors
    await write_legacy(engine, 1)
    before = await state(engine)

    refused = await migrate(delivery_url, "upgrade", "0001")

    assert (refused.code, refused.errors.endswith(ADOPT_IT), await state(engine)) == (1, True, before)
    for table in ("tigu_prepare_goods_item", "tigu_prepare_goods"):
        await execute(engine, f"DELETE FROM {table}")
    assert (await migrate(delivery_url, "upgrade", "0001")).code == 0
    await write_legacy(engine, 1)
    async with engine.connect() as connection:
        assert await hindrance(connection) == ""


@pytest.mark.parametrize("delivery_engine", ["mariadb"])
async def test_while_a_restore_is_unfinished_nothing_is_served_whatever_the_revision(
    engine: AsyncEngine, delivery_url: str, tmp_path: Path
) -> None:
    await SCHEMA.upgrade(engine)
    # As a restore leaves it that was killed before it dropped anything.
    await execute(engine, "CREATE TABLE adoption_restore (backup VARCHAR(1000) NOT NULL)")
    await execute(engine, "INSERT INTO adoption_restore VALUES ('b.sql.gz')")
    before = await state(engine)
    reason = "was being put back from a backup when that was cut short"

    async with served(delivery_url, engine, tmp_path) as delivery:
        with pytest.raises(grpc.aio.AioRpcError, match=f"UNAVAILABLE(.|\n)*{reason}"):
            await delivery.stub.GetDriver(directory_pb2.GetDriverRequest(driver_id="5"), timeout=5)
    moves = [
        await migrate(delivery_url, *words)
        for words in (
            ("upgrade",),
            ("downgrade", "0012", "--discard-data"),
            ("contract", "enforce-status", "--writers-wait"),
        )
    ]
    told = await migrate(delivery_url, "status")

    assert [(done.code, reason in done.errors) for done in moves] == [(1, True)] * 3, moves
    assert (told.code, "\npending: 0\nhindered: " in told.output) == (3, True)
    assert "finish that with: delivery-service migrate restore b.sql.gz --discard-data" in told.output
    assert await state(engine) == before
