"""What the old look-up of an order's delivery type answered, `LIKE '%id%'` and the first row, beside what is right."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from delivery_service.adoption.catalogue import Tables
from delivery_service.adoption.run import Run
from delivery_service.adoption.survey import Answer, Survey
from servicekit.reports.findings import Findings

FOUND_NOTHING_RIGHT = "orders in no active package, of which the old query named a delivery type"
FOUND_NONE = "orders in an active package, which the old query did not find"
OTHER_TYPE = "orders of which the old query named, or could name, another delivery type"
AMBIGUOUS = (
    "orders whose active packages differ in their delivery type, of which the old query named one or none"
)
BY_LUCK = (
    "orders of which the old query named the right delivery type, and looked at packages of others for it"
)

_WORDS = {0: "merchant", 1: "driver"}


def judged(old: Sequence[Answer], right: Sequence[Answer]) -> str | None:
    """What is wrong with the old answer, which is any of `old`, or none where there is nothing; None if nothing is."""
    could, is_so = ({answer.delivery_type for answer in answers} for answers in (old, right))
    if len(is_so) > 1:
        return AMBIGUOUS
    if could == is_so:
        return None
    if not is_so:
        return FOUND_NOTHING_RIGHT
    return OTHER_TYPE if could else FOUND_NONE


async def wrong_answers(run: Run, connection: AsyncConnection, tables: Tables, survey: Survey) -> list[str]:
    """Writes every order with a wrong answer into a file of the folder, and answers what to print of it."""
    file = run.request.folder / f"wrong-answers-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.txt"
    wrong, orders, lucky = Findings(file), 0, 0
    try:
        for order_id, old, right in survey.answers():
            orders += 1
            says = judged(old, right)
            if says is not None:
                wrong.add(says, f"order {order_id}", f"was {_any_of(old)}; is {_any_of(right)}")
            elif any(answer.foreign_ones for answer in old):
                lucky += 1
    finally:
        wrong.close()
    head = f"the old query of the delivery type answered wrongly for {wrong.count} of {orders} orders"
    return [head, *wrong.lines(), f"{BY_LUCK}: {lucky}"]


def _any_of(answers: Sequence[Answer]) -> str:
    return " or ".join(_told(answer) for answer in answers) or "none"


def _told(answer: Answer) -> str:
    return f"{_WORDS.get(answer.delivery_type, answer.delivery_type)} by {' '.join(_packages(answer))}"


def _packages(answer: Answer) -> Iterator[str]:
    yield answer.first
    if answer.packages > 1:
        yield f"and {answer.packages - 1} more"
    if answer.foreign_ones:
        yield (
            f"({answer.foreign_ones} of them of other orders)" if answer.packages > 1 else "(of other orders)"
        )
