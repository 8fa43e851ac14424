"""Every order of which the old query named, or could name, a wrong delivery type is told, with both answers."""

import re
from collections import defaultdict
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from delivery_service.adoption.old_answers import judged
from delivery_service.adoption.run import Dialect
from delivery_service.adoption.survey import Answer, OrderIds
from tests.delivery_service.adoption.conftest import Adopt
from tests.delivery_service.adoption.legacy_database import Legacy, lay_out
from tests.migrations.delivery.legacy import rows

WORDS = {0: "merchant", 1: "driver"}
LIKE = (
    "SELECT o.id, p.delivery_type, p.prepare_sn FROM tigu_order o JOIN tigu_prepare_goods p"
    " ON p.order_ids LIKE CONCAT('%', o.id, '%') AND p.prepare_status < 6 ORDER BY p.id"
)
ACTIVE = {
    Dialect.PHASE_6: "prepare_status IS NULL OR prepare_status < 6",
    Dialect.OF_2025_12: "TRUE",
}

Types = dict[int, dict[int, list[str]]]


def told(folder: Path) -> dict[int, tuple[str, str]]:
    """(old, right) of each order in the file of wrong answers."""
    (file,) = folder.glob("wrong-answers-*.txt")
    found = re.findall(r": order (\d+) \(was (.*); is (.*)\)$", file.read_text(), re.MULTILINE)
    return {int(order): (old, right) for order, old, right in found}


async def truth(engine: AsyncEngine, dialect: Dialect) -> tuple[set[int], Types, Types]:
    """All orders, what LIKE finds of each, and the active packages that list it, as the engine has them."""
    orders = {row[0] for row in await rows(engine, "SELECT id FROM tigu_order")}
    old: Types = defaultdict(lambda: defaultdict(list))
    right: Types = defaultdict(lambda: defaultdict(list))
    for order, kind, number in await rows(engine, LIKE):
        old[order][kind].append(number)
    lists = f"SELECT order_ids, delivery_type, prepare_sn FROM tigu_prepare_goods WHERE {ACTIVE[dialect]} ORDER BY id"
    for order_ids, kind, number in await rows(engine, lists):
        for order in {int(part) for part in order_ids.split(",") if part.strip().isdigit()} & orders:
            right[order][kind].append(number)
    return orders, old, right


def lucky(orders: set[int], old: Types, right: Types) -> list[int]:
    """Orders with one right answer, which LIKE found too, and not only by the packages of the order."""
    once = [order for order in orders if len(right[order]) == 1 and old[order].keys() == right[order].keys()]
    return [order for order in once if set(*old[order].values()) - set(*right[order].values())]


async def test_wrong_answers_are_those_of_the_engine_order_by_order(
    engine: AsyncEngine, adopt: Adopt, delivery_engine: str, folder: Path
) -> None:
    dialect = Dialect.PHASE_6 if delivery_engine == "mysql" else Dialect.OF_2025_12
    await lay_out(engine, Legacy(packages=164, dialect=dialect))
    orders, old, right = await truth(engine, dialect)

    output = await adopt(dialect=dialect, dry_run=True)

    wrong = {order for order in orders if set(old[order]) != set(right[order]) or len(right[order]) > 1}
    found = told(folder)
    assert set(found) == wrong
    assert f"answered wrongly for {len(wrong)} of {len(orders)} orders" in output
    assert 20 < len(wrong) < len(orders)
    assert f"looked at packages of others for it: {len(lucky(orders, old, right))}" in output
    assert lucky(orders, old, right)
    for order, (was, is_right) in found.items():
        for said, answers in ((was, old[order]), (is_right, right[order])):
            kinds = [WORDS[kind] for kind in sorted(answers)]
            assert [part.split(" by ")[0] for part in said.split(" or ")] == kinds or [said, kinds] == [
                "none",
                [],
            ]
            for kind, packages in answers.items():
                more = f" and {len(packages) - 1} more" if len(packages) > 1 else ""
                assert f"{WORDS[kind]} by {packages[0]}{more}" in said


def test_ids_within_a_text_are_those_that_like_would_find() -> None:
    ids = OrderIds()
    for order_id in ("7", "12345", "912345", "0", "2345678901234567890"):
        ids.add(order_id)

    assert ids.within("912345") == {"912345", "12345"}
    assert ids.within("12 345,x7y") == {"7"}
    assert ids.within("12345678901234567890") == {"12345", "7", "0", "2345678901234567890"}
    assert ids.within("") == set()


@pytest.mark.parametrize(
    ("old", "right", "wrong"),
    [
        ([], [], False),
        ([0], [0], False),
        ([0, 1], [0], True),
        ([1], [0], True),
        ([], [0], True),
        ([0], [], True),
        ([0, 1], [0, 1], True),
        ([0], [0, 1], True),
    ],
)
def test_an_answer_is_right_only_where_every_row_that_could_come_first_gives_it(
    old: list[int], right: list[int], wrong: bool
) -> None:
    given, true = ([Answer(kind, 1, 0, "PG1") for kind in kinds] for kinds in (old, right))

    assert (judged(given, true) is not None) is wrong
