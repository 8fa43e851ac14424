"""Revision 0011: what archived months leave behind."""

import pytest
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.migrations.inventory.legacy import SCHEMA, execute, rows
from tests.migrations.inventory.soundness import assert_sound


async def test_archived_months_stop_the_way_back_by_name_before_its_first_step(legacy: AsyncEngine) -> None:
    await SCHEMA.upgrade(legacy)
    for month in ("2024-02-01", "2024-01-01"):
        await execute(
            legacy,
            "INSERT INTO inventory.archived_month"
            " VALUES (CAST(CAST(:month AS text) AS date), 'file', 'sha', 0, 0, now())",
            month=month,
        )

    with pytest.raises(InvalidRequestError, match=r"2024-01, 2024-02; .* archive restore"):
        await SCHEMA.downgrade(legacy, "0010")

    assert await SCHEMA.applied(legacy) == SCHEMA.expected
    assert await rows(legacy, "SELECT count(*) FROM inventory.archived_month") == [(2,)]
    await assert_sound(legacy)
