"""Every command of the runbook, run where its section belongs; what it prints must be of the shape that is shown."""

from pathlib import Path

import pytest

from tests.support.console import Command, difference, sections
from tests.support.forks import ROOT
from tests.system import runbook_scenes as scenes
from tests.system.runbook_scenes import SceneOf, serving

SECTIONS = sections((ROOT / "docs/runbook.md").read_text())
SCENES: dict[str, tuple[SceneOf, list[str]]] = {
    "a quiet night": (
        serving(scenes.little_is_left, scenes.a_file_was_imported, scenes.movements_were_counted),
        [
            "Is it well?",
            "Which build answers?",
            "NOT_SERVING",
            "A query is slow",
            "A step is refused",
            "Who has the stock?",
            "Reports are old",
            "History lags",
            "Low stock is not told",
            "The ledger's months",
            "An import was cut off, or refused rows",
            "Who is connected?",
        ],
    ),
    "a parked command": (serving(scenes.a_parked_command), ["What is wrong?", "A command is parked"]),
    "a parked command to be mended": (serving(scenes.a_parked_command), ["Records disagree"]),
    "inventory is away": (serving(scenes.inventory_is_away), ["Packages stay REQUESTED"]),
    "an order of too much": (serving(scenes.an_order_of_too_much), ["A package is REJECTED"]),
    "a package on its way": (serving(scenes.a_package_on_its_way), ["Where is a package?", "Photos"]),
    "an adopted inventory": (scenes.an_inventory_that_was_adopted, ["An adoption does not go through"]),
    "a delivery database of old": (
        scenes.a_delivery_database_of_old,
        ["Adopting a delivery database, and going back"],
    ),
    "a database to migrate": (scenes.a_database_to_migrate, ["Migrating delivery while it is used"]),
}


def test_every_section_that_shows_commands_has_its_scene() -> None:
    assert sorted(SECTIONS) == sorted(title for _, titles in SCENES.values() for title in titles)


@pytest.mark.parametrize(("scene_of", "titles"), SCENES.values(), ids=list(SCENES))
async def test_what_the_runbook_shows_is_what_happens(
    scene_of: SceneOf, titles: list[str], tmp_path: Path
) -> None:
    async with scene_of(tmp_path) as scene:
        for command in (command for title in titles for command in SECTIONS[title]):
            assert not (found := difference(command, await scene.run(command.line))), found


@pytest.mark.parametrize(
    ("said", "same"),
    [
        ("3 of 400\nnone\nleft  over\n", True),
        ("3 of 400\na\nb\nnone\nleft over\n", True),
        ("3 of 400\nnone\n", False),
        ("3 of 400\nsome\nleft over\n", False),
        ("none\nleft over\n", False),
        ("", False),
    ],
)
def test_only_what_is_left_out_and_numbers_may_differ(said: str, same: bool) -> None:
    shown = Command("count", ("17 of 9…", "…", "none", "left over"))

    assert (difference(shown, said) == "") is same
