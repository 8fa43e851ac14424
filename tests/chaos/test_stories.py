"""No crash point is in the sources for nothing: a campaign or a test dies at each."""

import re
from pathlib import Path

from chaos.stories import DELIVERY, INVENTORY

ROOT = Path(__file__).parents[2]
SOURCES = ("delivery_service", "inventory_service", "servicekit")
NAMED = re.compile(r'crash_point\("([\w.]+)"\)')


def texts(*folders: str) -> list[str]:
    return [file.read_text() for folder in folders for file in (ROOT / folder).rglob("*.py")]


def test_somebody_dies_at_each_crash_point() -> None:
    named = {name for text in texts(*SOURCES) for name in NAMED.findall(text)}
    died_at = {point for points, _ in (*DELIVERY, *INVENTORY) for point in points.split()}
    others = "\n".join(texts("tests", "chaos"))

    assert len(named) > 30
    assert {name for name in named - died_at if name not in others} == set()
