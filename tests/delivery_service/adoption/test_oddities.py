"""What is strange in legacy data is counted and named, and changed by nobody before the adoption is begun."""

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncEngine

from delivery_service.adoption.run import Dialect
from tests.delivery_service.adoption.conftest import Adopt
from tests.delivery_service.adoption.legacy_database import Legacy, lay_out, state
from tests.delivery_service.adoption.report import check_table

TOLD: dict[str, Callable[[Counter[str]], int]] = {
    "with a blank part": lambda odd: odd["blank parts"],
    "with spaces or zeros around": lambda odd: odd["parts with spaces"],
    # Each list that is too long has one id seven times.
    "with an order id twice": lambda odd: odd["twice"] + 6 * odd["long"],
    "with a part that is no order id": lambda odd: odd["no number"],
    "more than 100 characters": lambda odd: odd["long"],
    "orders in lists that do not exist": lambda odd: odd["unknown order"] + odd["no orders"],
    "packages of no order that exists": lambda odd: odd["no orders"],
    "packages without items": lambda odd: odd["no items"],
    "orders in several active packages": lambda odd: odd["shared order"],
    "orders of another shop": lambda odd: odd["another shop"],
    "merchant's workflow with a driver": lambda odd: odd["driver of a merchant"],
    "a driver who does not exist": lambda odd: odd["unknown driver"],
    "under way without their driver": lambda odd: odd["no driver"],
    "to the user that name a warehouse": lambda odd: odd["warehouse of a user"],
    "a warehouse that does not exist": lambda odd: odd["unknown warehouse"],
    "went through a warehouse and do not say": lambda odd: odd["no warehouse"],
    "with no units": lambda odd: odd["no units"],
    "belong to no item of an order": lambda odd: odd["unknown item"],
    "files of actions that do not exist": lambda odd: odd["unknown file"],
    "a part that is no file id": lambda odd: odd["no file"],
    # create_time and update_time.
    "times that the clock left out": lambda odd: 2 * odd["skipped time"],
    "times that the clock went through twice": lambda odd: 2 * odd["doubled time"],
}


def count_of(rule: str, output: str) -> int:
    """How many rows the report says break a rule, by some of its words."""
    numbers = re.findall(rf"^(?! ).*{re.escape(rule)}.*: (\d+)$", output, re.MULTILINE)
    assert len(numbers) == 1, (rule, numbers)
    return int(numbers[0])


async def test_every_oddity_is_counted_and_a_dry_run_changes_nothing(
    engine: AsyncEngine, adopt: Adopt, folder: Path
) -> None:
    planted = await lay_out(engine, Legacy(packages=246, signed=True))
    assert planted.odd["successor"] > 0
    before = await state(engine)

    output = await adopt(dialect=Dialect.PHASE_6, time_zone="Europe/Berlin", dry_run=True)

    assert await state(engine) == before
    for rule, number in TOLD.items():
        assert count_of(rule, output) == number(planted.odd) > 0, rule
    check_table(output, planted, Dialect.PHASE_6)
    lines = (folder / "oddities.txt").read_text().splitlines()
    assert len(lines) == sum(number(planted.odd) for number in TOLD.values())
    assert f"all {len(lines)} of them are in" in output
