"""What the data says: what contradicts itself stops the adoption, what is only strange is told and taken over.

A row stops it where holdfast could not show it, or could not bring it to the end of its way, or where it would have
to guess what was meant. Everything else is taken over as it is, and named.
"""

from collections.abc import Iterator

from sqlalchemy.ext.asyncio import AsyncConnection

from delivery_service.adoption import files, oddities, order_lists
from delivery_service.adoption.catalogue import Tables, Written
from delivery_service.adoption.dialect import CLAIMED, STATUSES, shipping_type, status
from delivery_service.adoption.expectations import TABLES
from delivery_service.adoption.run import Dialect, Run
from delivery_service.adoption.survey import Survey
from delivery_service.domain.legacy import ORDER_STATUSES, STATES, WORKFLOWS, states_of
from delivery_service.domain.workflow import PackageState, Workflow
from servicekit.reports.findings import Check

MOST_UNITS = 1_000_000_000

SAY_DIALECT = "say --dialect phase6 (6 completed, 7 cancelled; shipping_type 0 to a warehouse, 1 to the user)"
SAY_DIALECT += " or --dialect 2025-12 (6 claimed, 7 delivered; shipping_type 1 to a warehouse, 0 to the user)"

_CODES = {state: code for code, state in STATES.items() if code is not None}
# Who brings the package to its next state there is its warehouse.
_WAREHOUSE_ACTS = (PackageState.DELIVERED, PackageState.COMPLETED, PackageState.CANCELLED)


async def check(run: Run, connection: AsyncConnection, tables: Tables) -> Survey:
    """Names in run.findings what stops the adoption, in run.oddities what does not; answers what all lists say."""
    stops = list(checks(tables, run.request.dialect))
    told = list(oddities.checks(tables, run.dialect, run.zone))
    with run.progress("checking rows", len(stops) + len(told)) as advance:
        for rule in stops:
            await run.findings.run(connection, rule)
            advance(1)
        for rule in told:
            await run.oddities.run(connection, rule)
            advance(1)
    await files.check_files(run, connection)
    return await order_lists.survey(run, connection, run.dialect)


def checks(tables: Tables, dialect: Dialect | None) -> Iterator[Check]:
    """Every rule whose breach stops the adoption."""
    yield from _of_columns(tables)
    yield from _of_packages()
    if dialect is None:
        yield from _of_meaning()
    yield from _of_dialect(dialect or Dialect.PHASE_6, said=dialect is not None)
    yield from _of_items()
    yield from _of_orders()


def _of_columns(tables: Tables) -> Iterator[Check]:
    for table, columns in TABLES.items():
        for wanted in columns:
            column = tables[table][wanted.name]
            if column.nullable and not wanted.nullable and wanted.written is not Written.LEFT_OUT:
                yield _rows(f"rows of {table} without {column.name}", table, f"{column.name} IS NULL")
            if wanted.type == "bigint unsigned" and "unsigned" not in column.type:
                says = f"rows of {table} whose {column.name} is less than nothing"
                yield _rows(says, table, f"{column.name} < 0", column.name)
            if column.is_zoneless:
                # Such times came with an engine that was not strict.
                parts = " OR ".join(f"{part}({column.name}) = 0" for part in ("YEAR", "MONTH", "DAYOFMONTH"))
                says = f"rows of {table} whose {column.name} is no time"
                broken = f"{parts} OR YEAR({column.name}) > 9998"
                yield _rows(says, table, broken, f"CAST({column.name} AS CHAR)")


def _of_packages() -> Iterator[Check]:
    unfit = "prepare_sn = '' OR CHAR_LENGTH(prepare_sn) > 64 OR prepare_sn REGEXP '[^A-Za-z0-9._/:-]'"
    yield _packages(
        "packages whose prepare_sn is not 1 to 64 characters of A-Z a-z 0-9 . _ : / -", unfit, "id"
    )
    yield Check(
        "prepare_sn that differ in nothing but small letters and blanks",
        "SELECT MIN(prepare_sn) AS `row`, CONCAT(COUNT(*), ' packages') AS problem FROM tigu_prepare_goods"
        " GROUP BY UPPER(TRIM(prepare_sn)) HAVING COUNT(*) > 1",
    )
    for column, known in (("delivery_type", "0, 1"), ("shipping_type", "0, 1"), ("type", "0, 1")):
        yield _packages(f"packages with an unknown {column}", f"{column} NOT IN ({known})", column)
    yield _packages("packages of a negative value", "total_value < 0", "total_value")


def _of_meaning() -> Iterator[Check]:
    yield _packages(
        f"packages whose prepare_status may mean two things; {SAY_DIALECT}",
        "prepare_status >= 6",
        "CONCAT('prepare_status ', prepare_status)",
    )
    yield _packages(
        f"packages whose shipping_type contradicts their warehouse; {SAY_DIALECT}",
        "type = 0 AND shipping_type = IF(warehouse_id IS NULL, 0, 1)",
        "CONCAT('shipping_type ', shipping_type, ', warehouse_id ', COALESCE(warehouse_id, 'none'))",
    )


def _of_dialect(dialect: Dialect, *, said: bool) -> Iterator[Check]:
    stored = "prepare_status"
    known = ", ".join(map(str, STATUSES[dialect]))
    yield _packages("packages with an unknown prepare_status", f"{stored} NOT IN ({known})", stored)
    if not said:
        # What follows is only worth saying once it is known what the numbers mean.
        return
    ours = status(stored, dialect)
    for codes, workflow in WORKFLOWS.items():
        allowed = ", ".join(str(_CODES[state]) for state in sorted(states_of(workflow)))
        yield _packages(
            f"packages of {workflow} in a state that is not on its way",
            f"{_is(codes, dialect)} AND {stored} IN ({known}) AND {ours} NOT IN ({allowed})",
            f"CONCAT('prepare_status ', {stored})",
        )
    if dialect is Dialect.OF_2025_12:
        unclaimed = f"{stored} = {CLAIMED} AND (driver_id IS NULL OR delivery_type <> 1)"
        says = "packages that are claimed without a driver, or by one on a merchant's workflow"
        yield _packages(says, unclaimed, "CONCAT('driver_id ', COALESCE(driver_id, 'none'))")
    over = ", ".join(str(_CODES[state]) for state in _WAREHOUSE_ACTS)
    to_warehouse = f"{shipping_type('shipping_type', dialect)} = 0 AND COALESCE({ours}, -1) NOT IN ({over})"
    says = "packages on their way to or from a warehouse that do not say which; give them a warehouse_id"
    yield _packages(says, f"warehouse_id IS NULL AND {to_warehouse}")
    pending = f"type = 1 AND COALESCE({ours}, -1) = -1"
    of_leg_1 = next(codes for codes, workflow in WORKFLOWS.items() if workflow is Workflow.DRIVER_TO_USER)
    yield _packages(
        "pending packages of leg 1 that no warehouse can prepare: no warehouse_id, or not by driver to the user",
        f"{pending} AND (warehouse_id IS NULL OR NOT ({_is(of_leg_1, dialect)}))",
    )


def _of_items() -> Iterator[Check]:
    item = "CONCAT('item ', i.id, COALESCE(CONCAT(' of ', p.prepare_sn), ''))"
    joined = "tigu_prepare_goods_item i LEFT JOIN tigu_prepare_goods p ON p.id = i.prepare_id"
    yield Check(
        "items of packages that do not exist",
        f"SELECT {item} AS `row`, CONCAT('prepare_id ', i.prepare_id) AS problem FROM {joined} WHERE p.id IS NULL",
    )
    yield Check(
        f"items of packages with less than no units, or more than {MOST_UNITS}",
        f"SELECT {item} AS `row`, i.quantity AS problem FROM {joined}"
        f" WHERE i.quantity < 0 OR i.quantity > {MOST_UNITS}",
    )


def _of_orders() -> Iterator[Check]:
    known = ", ".join(map(str, ORDER_STATUSES))
    yield _rows(
        "orders with an unknown order_status", "tigu_order", f"order_status NOT IN ({known})", "order_status"
    )
    yield _rows("orders of a negative amount", "tigu_order", "total_amount < 0", "total_amount")
    units = f"quantity < 0 OR quantity > {MOST_UNITS}"
    says = f"items of orders with less than no units, or more than {MOST_UNITS}"
    yield _rows(says, "tigu_order_item", units, "quantity")
    yield _rows("items of orders of a negative price", "tigu_order_item", "price < 0", "price")
    yield _rows(
        "items of orders whose product_name is no JSON", "tigu_order_item", "NOT JSON_VALID(product_name)"
    )


def _is(codes: tuple[int, int], dialect: Dialect) -> str:
    return f"delivery_type = {codes[0]} AND {shipping_type('shipping_type', dialect)} = {codes[1]}"


def _packages(says: str, where: str, problem: str = "''") -> Check:
    return Check(
        says,
        f"SELECT prepare_sn AS `row`, {problem} AS problem FROM tigu_prepare_goods WHERE {where} ORDER BY id",
    )


def _rows(says: str, table: str, where: str, problem: str = "''") -> Check:
    return Check(says, f"SELECT id AS `row`, {problem} AS problem FROM {table} WHERE {where} ORDER BY id")
