"""The steps through the command: refused before their time, run after it, taken back."""

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.delivery_service.contract_steps.conftest import LISTS, SCHEMA, Contract, let_pass, picture
from tests.migrations.delivery.legacy import execute, rows, write_legacy
from tests.support.forks import run_command

STATUSES = "SELECT id, prepare_status FROM tigu_prepare_goods ORDER BY id"
OLDER_BUILDS = "SELECT name FROM holdfast_schema_history WHERE kind = 'serves since' ORDER BY entry_id"
UPDATED = "SELECT DISTINCT CAST(update_time AS CHAR) FROM tigu_prepare_goods"
WRITTEN = [("2025-11-09 16:19:00",)]
ENFORCE = ("enforce-status", "--writers-wait")


async def listed(engine: AsyncEngine) -> dict[int, str]:
    return dict(await rows(engine, "SELECT id, order_ids FROM tigu_prepare_goods"))


async def enforced(contract: Contract, engine: AsyncEngine) -> None:
    """Two weeks without another writer, and the first step done."""
    await let_pass(engine, 15)
    code, _, why = await contract(*ENFORCE)
    assert code == 0, why


async def test_the_steps_are_listed_with_why_not_yet(contract: Contract) -> None:
    code, printed, _ = await contract()

    enforce, drop = printed.splitlines()
    assert code == 0
    assert enforce.startswith(
        "enforce-status                 not yet  writes of other applications are seen "
    )
    assert "its 14 days end at" in enforce
    assert drop == "drop-order-ids                 not yet  enforce-status comes first"


@pytest.mark.parametrize(
    ("days", "words", "reason"),
    [
        (13, ENFORCE, "its 14 days end at"),
        (15, ("enforce-status",), "it copies the table of 4 packages, and whoever writes a package waits"),
        (60, ("drop-order-ids",), "enforce-status comes first"),
    ],
)
async def test_a_step_is_refused_before_its_time(
    contract: Contract, engine: AsyncEngine, days: int, words: tuple[str, ...], reason: str
) -> None:
    await let_pass(engine, days)
    before = await picture(engine)

    code, _, why = await contract(*words)

    assert code == 1
    assert f"{words[0]} refused, nothing was changed: " in why
    assert reason in why
    assert await picture(engine) == before


async def test_while_another_application_writes_no_step_runs(contract: Contract, engine: AsyncEngine) -> None:
    await let_pass(engine, 60)
    await write_legacy(engine, 5, "1")
    before = await picture(engine)

    code, _, why = await contract(*ENFORCE)
    assert (code, await picture(engine)) == (1, before)
    assert "1 packages that another application than the service wrote are not followed yet" in why

    await execute(engine, "UPDATE tigu_prepare_goods SET legacy_write_time = NULL")
    await execute(engine, "INSERT INTO legacy_write_day VALUES (UTC_DATE(), 1, UTC_TIMESTAMP(6))")
    before = await picture(engine)
    code, _, why = await contract(*ENFORCE)
    assert (code, await picture(engine)) == (1, before)
    assert "another application than the service last wrote a package at" in why


async def test_the_status_is_enforced_once_and_can_be_relaxed(
    contract: Contract, engine: AsyncEngine
) -> None:
    made = (await picture(engine))[0]
    await enforced(contract, engine)

    assert await rows(engine, STATUSES) == [(1, -1), (2, -1), (3, 0), (4, 6)]
    assert await rows(engine, UPDATED) == WRITTEN
    assert "100%" in str((await picture(engine))[0])
    for status in (None, 8):
        with pytest.raises(Exception, match=r"(?i)null|constraint"):
            await write_legacy(engine, 9, "1", status=status)
    marked = "SELECT COUNT(*) FROM tigu_prepare_goods WHERE legacy_write_time IS NOT NULL"
    assert await rows(engine, marked) == [(0,)]
    assert (await contract(*ENFORCE))[:2] == (0, "enforce-status: nothing to do\n")

    assert (await contract("relax-status"))[0] == 0
    assert (await picture(engine))[0] == made
    await write_legacy(engine, 9, "1")


async def test_a_status_that_is_none_stops_the_step_by_name(contract: Contract, engine: AsyncEngine) -> None:
    await let_pass(engine, 15)
    await execute(
        engine,
        "UPDATE tigu_prepare_goods SET prepare_status = 9, legacy_write_time = legacy_write_time WHERE id = 4",
    )
    before, older_builds = await picture(engine), await rows(engine, OLDER_BUILDS)

    code, _, why = await contract(*ENFORCE)

    assert (code, await picture(engine), await rows(engine, OLDER_BUILDS)) == (1, before, older_builds)
    assert "unknown status: PG4 (9)" in why


async def test_the_lists_go_after_their_time_and_come_back(contract: Contract, engine: AsyncEngine) -> None:
    await enforced(contract, engine)
    await let_pass(engine, 29)
    assert "its 30 days end at" in (await contract("drop-order-ids"))[2]
    made = (await picture(engine))[0]
    await let_pass(engine, 2)

    code, _, why = await contract("drop-order-ids")

    assert code == 0, why
    assert "order_ids" not in str((await picture(engine))[0])
    assert (await contract("drop-order-ids"))[:2] == (0, "drop-order-ids: nothing to do\n")

    code, _, why = await contract("restore-order-ids")
    assert code == 0, why
    assert (await listed(engine), await rows(engine, UPDATED)) == (LISTS, WRITTEN)
    assert sorted(str((await picture(engine))[0]).split("\\n")) == sorted(str(made).split("\\n"))
    assert (await contract("restore-order-ids"))[:2] == (0, "restore-order-ids: nothing to do\n")


async def test_a_list_that_says_something_else_than_the_rows_stops_the_drop_by_name(
    contract: Contract, engine: AsyncEngine
) -> None:
    await enforced(contract, engine)
    await let_pass(engine, 31)
    await execute(engine, "DELETE FROM tigu_prepare_goods_order WHERE prepare_goods_id = 3")
    before = await picture(engine)

    code, _, why = await contract("drop-order-ids")

    assert (code, await picture(engine)) == (1, before)
    assert "order_ids lists other orders than the package has: PG3" in why


async def test_each_step_that_is_killed_is_run_again(
    contract: Contract, engine: AsyncEngine, migrated: tuple[str, AsyncEngine]
) -> None:
    await let_pass(engine, 15)
    for words, places in (
        (ENFORCE, ("contract.after_statuses", "contract.before_record")),
        (("drop-order-ids",), ("contract.after_index",)),
        (("restore-order-ids",), ("contract.after_column",)),
    ):
        for place in places:
            assert await killed_at(place, migrated[0], *words) == 137
            unlisted = "restore-order-ids was cut short, and not all packages list their orders: run it again"
            assert (unlisted in (await contract())[1]) is (place == "contract.after_column")
        code, printed, why = await contract(*words)

        assert (code, printed.split(";")[0]) == (0, f"{words[0]}: done"), why
        assert (await contract(*words))[1] == f"{words[0]}: nothing to do\n"
        await let_pass(engine, 31)
    assert await listed(engine) == LISTS
    taken = await rows(
        engine, "SELECT name FROM holdfast_schema_history WHERE kind = 'contract' ORDER BY entry_id"
    )
    assert taken == [("enforce-status",), ("drop-order-ids",), ("restore-order-ids",)]
    assert await rows(engine, OLDER_BUILDS) == [(SCHEMA.expected,)]


async def killed_at(place: str, url: str, *words: str) -> int:
    """The step as a process that dies at a crash point."""
    dying = {"DELIVERY_DATABASE_URL": url, "HOLDFAST_CRASH_AT": place}
    return (await run_command("delivery", "migrate", "contract", *words, **dying)).code


async def test_the_steps_are_refused_while_the_schema_is_not_the_expected_one(
    contract: Contract, engine: AsyncEngine
) -> None:
    await let_pass(engine, 60)
    await execute(engine, "UPDATE holdfast_schema_version SET version_num = '0012'")
    before = await picture(engine)

    for step in ("enforce-status", "drop-order-ids"):
        code, _, why = await contract(step)
        assert (code, await picture(engine)) == (1, before), step
        assert "the schema is at 0012, this build expects " in why

    head = f"UPDATE holdfast_schema_version SET version_num = '{SCHEMA.expected}'"  # noqa: S608
    await execute(engine, head)
