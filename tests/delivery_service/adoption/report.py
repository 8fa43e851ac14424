"""The table of what an adoption finds, compared with what was planted."""

import re

from delivery_service.adoption.run import Dialect
from tests.delivery_service.adoption.legacy_rows import Planted

WORKFLOWS = {
    (0, 0): "MERCHANT_TO_WAREHOUSE",
    (0, 1): "MERCHANT_TO_USER",
    (1, 0): "DRIVER_TO_WAREHOUSE",
    (1, 1): "DRIVER_TO_USER",
}


def found(output: str, what: str) -> int:
    """The number in the table of what is found."""
    (number,) = re.findall(rf"^{re.escape(what)}  +(\d+)  ", output, re.MULTILINE)
    return int(number)


def check_table(output: str, planted: Planted, dialect: Dialect) -> None:
    """Every number of the table is what was planted."""
    for what, table in {
        "packages": "tigu_prepare_goods",
        "orders": "tigu_order",
        "items of orders": "tigu_order_item",
        "items of packages": "tigu_prepare_goods_item",
        "files": "tigu_uploaded_files",
        "drivers": "tigu_driver",
    }.items():
        assert found(output, what) == planted.rows[table]
    for status, number in planted.statuses.items():
        assert found(output, f"packages with prepare_status {'NULL' if status is None else status}") == number
    assert found(output, "packages from a warehouse (type 1)") == planted.odd["orders of a second leg"]
    assert found(output, "of these orders of packages") == planted.odd["orders of packages"]
    assert found(output, "actions of no step") == planted.odd["no step"]
    for pair, workflow in WORKFLOWS.items():
        shipping_type = 1 - pair[1] if dialect is Dialect.OF_2025_12 else pair[1]
        stored = f"packages with delivery_type {pair[0]}, shipping_type {shipping_type}"
        assert re.search(rf"^{stored}  +{planted.workflows[pair]} .*{workflow}$", output, re.MULTILINE), (
            stored
        )
