"""An adoption may be killed anywhere: the next one finishes it, or nothing had begun."""

from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from servicekit.adoption.run import AdoptionRefused, AdoptionUnfinished
from tests.inventory_service.adoption.command import Command
from tests.inventory_service.adoption.conftest import SCHEMA, Adopt
from tests.inventory_service.adoption.legacy_database import PHASE_2, Legacy, lay_out, state
from tests.migrations.inventory.legacy import execute, rows
from tests.migrations.inventory.soundness import assert_sound

LEGACY = Legacy(stocks=60, phase_2=len(PHASE_2), split=1, flags=True, reservations=True, zone=False)


@pytest.mark.parametrize(
    ("place", "begun"),
    [
        ("adopt.before_begin", False),
        ("migrate.between_steps:120", True),
        ("adopt.before_finish", True),
    ],
)
async def test_an_adoption_that_is_killed_is_finished_by_the_next(
    engine: AsyncEngine, adopt: Adopt, command: Command, folder: Path, place: str, begun: bool
) -> None:
    await lay_out(engine, LEGACY)
    before = await state(engine)
    words = ("adopt", "--time-zone", "Europe/Berlin", "--backup", str(folder))
    killed = await command(*words, HOLDFAST_CRASH_AT=place)
    assert killed.code == 137, killed.errors
    half = await state(engine)
    assert (half == before) is not begun
    upgrade, status = await command("upgrade"), await command("status")
    why = "was being adopted when that was cut short" if begun else "is one of the legacy system"
    assert (upgrade.code, why in upgrade.errors) == (1, True), upgrade
    assert (status.code, "\nhindered: this database" in status.output) == (3, True), status
    assert await state(engine) == half

    # What was asked for is remembered: another zone now would change nothing.
    told = await adopt(time_zone="Europe/Berlin" if not begun else None)

    assert ("was cut short" in told) is begun
    assert "differs" not in told
    assert await SCHEMA.applied(engine) == SCHEMA.expected
    zone = "SELECT DISTINCT created_at AT TIME ZONE 'UTC' = '2024-12-31 23:30' FROM inventory.stock"
    assert await rows(engine, zone) == [(True,)]
    assert await rows(engine, "SELECT finish_time IS NOT NULL FROM inventory.adoption") == [(True,)]


REFUSED_AT_THE_END = (
    "CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN"
    " IF to_regclass('inventory.adoption') IS NOT NULL THEN"
    " IF (SELECT finish_time IS NOT NULL FROM inventory.adoption) THEN RAISE 'theirs'; END IF; END IF; END $$"
)


async def test_a_newest_revision_that_stops_is_told_with_what_brings_it(
    engine: AsyncEngine, adopt: Adopt
) -> None:
    await lay_out(engine, Legacy(stocks=20, split=0))
    await execute(engine, REFUSED_AT_THE_END)
    await execute(
        engine,
        "CREATE EVENT TRIGGER theirs ON ddl_command_start WHEN TAG IN ('CREATE TABLE')"
        " EXECUTE FUNCTION refuse()",
    )

    with pytest.raises(
        AdoptionUnfinished,
        match=r"taken over and verified, .*: .*theirs(.|\n)*inventory-service migrate upgrade",
    ):
        await adopt(without_backup=True)

    assert await SCHEMA.applied(engine) == SCHEMA.history()[-2].id
    await execute(engine, "DROP EVENT TRIGGER theirs")
    with pytest.raises(AdoptionRefused, match="bring it up to date with: inventory-service migrate upgrade"):
        await adopt()
    await SCHEMA.upgrade(engine)
    await execute(engine, 'ALTER TABLE inventory.stock DROP COLUMN "Shelf"')
    await assert_sound(engine)


async def test_a_revision_that_stops_leaves_an_adoption_that_can_be_finished(
    engine: AsyncEngine, adopt: Adopt
) -> None:
    await lay_out(engine, Legacy(stocks=30, split=0))
    # A rule of others, which no check can foresee, refuses what the upgrade writes.
    await execute(
        engine,
        "ALTER TABLE inventory.stock ADD CONSTRAINT theirs CHECK (notes <> 'note 2' OR status <> 'in_stock')",
    )
    await execute(engine, "UPDATE inventory.stock SET status = 'reserved' WHERE notes = 'note 2'")

    with pytest.raises(
        AdoptionUnfinished,
        match=r"half done: (.|\n)*theirs(.|\n)*run migrate adopt again, or go back: .*restore",
    ):
        await adopt()

    await execute(engine, "ALTER TABLE inventory.stock DROP CONSTRAINT theirs")
    assert "was cut short" in await adopt()


SESSIONS_ENDED = """
CREATE FUNCTION end_sessions() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
    IF to_regclass('inventory.adoption') IS NOT NULL THEN
        PERFORM pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid();
        RAISE 'ended by an administrator';
    END IF;
END $$
"""


async def test_an_adoption_whose_sessions_are_ended_still_tells_the_way_out(
    engine: AsyncEngine, adopt: Adopt
) -> None:
    await lay_out(engine, Legacy(stocks=20, split=0))
    await execute(engine, SESSIONS_ENDED)
    await execute(
        engine,
        "CREATE EVENT TRIGGER ends ON ddl_command_start WHEN TAG IN ('CREATE TABLE')"
        " EXECUTE FUNCTION end_sessions()",
    )

    with pytest.raises(AdoptionUnfinished, match=r"half done: (.|\n)*run migrate adopt again, or go back: "):
        await adopt()

    await execute(engine, "DROP EVENT TRIGGER ends")
    assert "was cut short" in await adopt()


ANOTHER_CODE = "stocks with another code: 1"
CHANGES = {
    "stocks that are lost: 1": "DELETE FROM inventory.stock WHERE notes = 'note 2'",
    "stocks whose values changed: 3": (
        "UPDATE inventory.stock SET purchase_price = purchase_price + 0.01 WHERE notes = 'note 4'"
    ),
    "stocks whose status is another: 1": "UPDATE inventory.stock SET status = 'error' WHERE notes = 'note 11'",
    "stocks that their movements do not explain: 1": (
        "UPDATE inventory.stock SET quantity = 13 WHERE notes = 'note 13'"
    ),
    "or than their holds: 1": (
        "UPDATE inventory.stock SET reserved_quantity = reserved_quantity + 1 WHERE notes = 'note 7'"
    ),
    ANOTHER_CODE: "UPDATE inventory.stock SET sku = 'other' WHERE notes = 'note 8'",
    "listings that are lost: 2": "UPDATE inventory.stock SET listed_on_platforms = '[]' WHERE notes = 'note 12'",
    "changes of status that are lost: 1": "UPDATE inventory.stock SET status_history = '[]' WHERE notes = 'note 6'",
    "documents of no known shape: 1": (
        "UPDATE inventory.stock_lifecycle SET listed_on_platforms = '17' WHERE stock_id ="
        " (SELECT id FROM inventory.stock WHERE notes = 'note 3')"
    ),
    "open rows of stock_reservation that became no reservation: 1": (
        "INSERT INTO inventory.stock_reservation (stock_id, reserved_quantity)"
        " SELECT id, 1 FROM inventory.stock LIMIT 1"
    ),
    "stocks that were listed_stockx and have no such listing: 1": (
        "UPDATE inventory.stock SET listed_stockx = true WHERE notes = 'note 1'"
    ),
}


async def test_what_somebody_wrote_meanwhile_is_named_at_the_end(
    engine: AsyncEngine, adopt: Adopt, command: Command, folder: Path
) -> None:
    await lay_out(engine, Legacy(stocks=20, split=2, flags=True, reservations=True))
    killed = await command("adopt", "--backup", str(folder), HOLDFAST_CRASH_AT="adopt.after_upgrade")
    assert killed.code == 137, killed.errors
    # No sum tells of another code; the row does.
    await execute(engine, CHANGES[ANOTHER_CODE])
    with pytest.raises(AdoptionUnfinished, match=ANOTHER_CODE):
        await adopt()
    for change in CHANGES.values():
        await execute(engine, change)

    with pytest.raises(AdoptionUnfinished) as unfinished:
        await adopt()

    told = str(unfinished.value)
    assert [says for says in CHANGES if says not in told] == [], told
    assert "migrate restore" in told and "--accept-differences" in told

    accepted = await adopt(accept_differences=True)

    assert [says for says in CHANGES if says not in accepted] == [], accepted
    assert "adopted: the schema is at" in accepted
