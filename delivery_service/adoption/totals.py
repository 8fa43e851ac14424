"""What there must be at the end, counted before anything is changed, and counted again then."""

from collections.abc import Mapping
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from delivery_service.adoption.catalogue import Tables
from delivery_service.adoption.dialect import shipping_type, status
from delivery_service.adoption.run import Dialect
from delivery_service.adoption.survey import Survey
from delivery_service.domain.legacy import STATES, WORKFLOWS

ORDERS = "orders of packages"
LEGS = "orders in active packages, by leg"
ADOPTIONS = "packages with a timeline"

_OF_LISTS = {
    ORDERS: "SELECT count(*) FROM listed l JOIN orders o ON o.key = l.order_key",
    LEGS: "SELECT count(*) FROM (SELECT 1 FROM listed l JOIN orders o ON o.key = l.order_key"
    " JOIN packages p ON p.key = l.package_key WHERE p.active AND p.leg IS NOT NULL GROUP BY o.key, p.leg)",
}
_AT_THE_END = {
    ORDERS: text("SELECT COUNT(*) FROM tigu_prepare_goods_order"),
    LEGS: text("SELECT COUNT(*) FROM tigu_prepare_goods_order WHERE active_leg IS NOT NULL"),
    ADOPTIONS: text("SELECT COUNT(*) FROM package_event WHERE verb = 'ADOPT'"),
}


async def promised(
    connection: AsyncConnection, tables: Tables, dialect: Dialect, zone: ZoneInfo, survey: Survey
) -> Mapping[str, str]:
    """What there must be, by name."""
    packages = await _packages(
        connection, status("prepare_status", dialect), shipping_type("shipping_type", dialect)
    )
    lists = {name: str(next(survey.rows(select))[0]) for name, select in _OF_LISTS.items()}
    number = (await connection.execute(text("SELECT COUNT(*) FROM tigu_prepare_goods"))).scalar_one()
    return {**packages, **lists, ADOPTIONS: str(number)}


async def found(connection: AsyncConnection) -> Mapping[str, str]:
    """What there is, by the same names."""
    packages = await _packages(connection, "prepare_status", "shipping_type")
    counts = {
        name: str((await connection.execute(select)).scalar_one()) for name, select in _AT_THE_END.items()
    }
    return {**packages, **counts}


async def _packages(connection: AsyncConnection, state: str, destination: str) -> dict[str, str]:
    """Every state and every workflow, those of no package too."""
    totals = {f"packages {name}": 0 for name in dict.fromkeys(STATES.values())}
    totals |= {f"packages of {workflow}": 0 for workflow in WORKFLOWS.values()}
    select = (
        f"SELECT COALESCE({state}, -1) AS state, delivery_type, {destination} AS destination, COUNT(*) AS number"
        f" FROM tigu_prepare_goods GROUP BY COALESCE({state}, -1), delivery_type, {destination}"
    )
    for row in await connection.execute(text(select)):
        totals[f"packages {STATES[row.state]}"] += row.number
        totals[f"packages of {WORKFLOWS[row.delivery_type, row.destination]}"] += row.number
    return {name: str(number) for name, number in totals.items()}
