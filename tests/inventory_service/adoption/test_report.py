"""What an adoption tells before it begins is what comes out; what is strange is named, and stops nothing."""

import re
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.inventory_service.adoption.conftest import Adopt
from tests.inventory_service.adoption.legacy_database import PHASE_2, Legacy, lay_out
from tests.migrations.inventory.legacy import execute, rows

SHAPES = {
    "before Phase 2, listings in the split table alone": Legacy(),
    "half-way, stocks and split rows with the same listings": Legacy(phase_2=10, split=2),
    "half-way, nothing copied yet": Legacy(phase_2=6, split=2),
    "after Phase 2, the stocks' own documents": Legacy(phase_2=len(PHASE_2), split=2),
}
LISTINGS = (
    "SELECT count(*) FROM inventory.stock, jsonb_array_elements(listed_on_platforms) l"
    " WHERE l ->> 'listing_id' NOT LIKE 'legacy:status:%'"
)
CHANGES = (
    "SELECT count(*) FROM inventory.stock, jsonb_array_elements(status_history) h"
    " WHERE COALESCE(h ->> 'reason', '') NOT LIKE 'migration %'"
)


def told_number(told: str, what: str) -> int:
    """The number in the line of the report that begins so."""
    found = re.search(rf"^{re.escape(what)} +(\d+) ", told, re.MULTILINE)
    assert found, told
    return int(found[1])


@pytest.mark.parametrize("name", SHAPES)
async def test_listings_and_changes_are_counted_as_they_come_out(
    engine: AsyncEngine, adopt: Adopt, name: str
) -> None:
    await lay_out(engine, SHAPES[name])
    # A stock and its split row that say different things keep both, until the stock alone counts.
    if SHAPES[name].phase_2 >= 10:
        await execute(
            engine,
            'UPDATE inventory.stock SET listed_on_platforms = \'[{"platform": "goat", "listing_id": "own"}]\''
            " WHERE notes LIKE 'note 1%'",
        )

    told = await adopt(without_backup=True)

    ((listings,),) = await rows(engine, LISTINGS)
    ((changes,),) = await rows(engine, CHANGES)
    assert listings > 20 and changes > 20
    assert told_number(told, "listings in them") == listings
    assert told_number(told, "changes of status in them") == changes


async def test_what_is_strange_is_named_by_row_and_stops_nothing(
    engine: AsyncEngine, adopt: Adopt, folder: Path
) -> None:
    await lay_out(engine, Legacy(stocks=12, phase_2=len(PHASE_2), split=0))
    for change in (
        "status = 'reserved', quantity = 5, reserved_quantity = 2 WHERE notes = 'note 1'",
        "status = 'reserved', quantity = 3, reserved_quantity = 3 WHERE notes = 'note 2'",
        "status = 'in_stock' WHERE notes NOT IN ('note 1', 'note 2')",
        "external_ids = '[\"A\"]' WHERE notes = 'note 3'",
        "external_ids = 'null' WHERE notes = 'note 4'",
        "listed_on_platforms = '[\"klekt\", \"ebay\"]' WHERE notes = 'note 5'",
        "status_history = '[\"in_stock -> lent\"]' WHERE notes = 'note 6'",
    ):
        await execute(engine, f"UPDATE inventory.stock SET {change}")
    named = {notes: str(key) for key, notes in await rows(engine, "SELECT id, notes FROM inventory.stock")}

    dry = await adopt(dry_run=True)
    told = await adopt(without_backup=True)

    expected = {
        "stocks with the status reserved, which become in_stock: what nothing holds of them can be sold": (
            f"{named['note 1']} (3 of 5)"
        ),
        "external_ids that are no object, which stay in their stock and are not shown": (
            f'{named["note 3"]} (["A"])'
        ),
        "listings of unknown platforms, which stay in their stock and are not shown": (
            f"{named['note 5']} (klekt)"
        ),
        "changes of status with an unknown one, which stays in their stock and is not shown": (
            f"{named['note 6']} (in_stock to lent)"
        ),
    }
    oddities = told.split("strange, and taken over:\n")[1].split("\n\n")[0]
    assert oddities in dry
    *lines, where = oddities.splitlines()
    assert where == f"all 4 of them are in {folder / 'oddities.txt'}"
    assert len((folder / "oddities.txt").read_text().splitlines()) == 4
    found = {says: row.strip() for says, row in zip(lines[::2], lines[1::2], strict=True)}
    assert found == {f"{says}: 1": row for says, row in expected.items()}


async def test_times_in_documents_that_do_not_say_their_zone_are_named_where_nobody_told_it(
    engine: AsyncEngine, adopt: Adopt
) -> None:
    await lay_out(engine, Legacy(stocks=3, phase_2=len(PHASE_2), split=0))
    await execute(engine, "UPDATE inventory.stock SET status = 'in_stock', listed_on_platforms = NULL")
    for note, time in (("1", "2024-05-01T10:00:00"), ("2", "2024-05-01T10:00:00+02:00")):
        history = f'[{{"from_status": null, "to_status": "in_stock", "changed_at": "{time}"}}]'
        await execute(
            engine, f"UPDATE inventory.stock SET status_history = '{history}' WHERE notes = 'note {note}'"
        )
    ((stock,),) = await rows(engine, "SELECT id FROM inventory.stock WHERE notes = 'note 1'")

    told = await adopt(dry_run=True)

    assert (
        "times in documents that do not say their zone, read as UTC unless --time-zone says another: 1"
        in told
    )
    assert f"{stock} (status history)" in told
    assert "times in documents" not in await adopt(dry_run=True, time_zone="Europe/Berlin")
