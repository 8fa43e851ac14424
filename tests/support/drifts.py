"""Rows put out of order, each kind in its own way, on packages that went so far."""

from collections.abc import Sequence
from dataclasses import dataclass

LONG_AGO = "UPDATE tigu_prepare_goods SET update_time = UTC_TIMESTAMP() - INTERVAL 1 HOUR"
"""What changed a moment ago is not judged yet."""


@dataclass(frozen=True)
class Planted:
    """One kind of drift: on packages that went so far, by SQL as `statement` completes it, or by hand for each."""

    name: str
    until: str
    sql: str = ""
    workflow: str = "MERCHANT_TO_USER"


KINDS = (
    Planted("order_ids differ", "", "UPDATE tigu_prepare_goods SET order_ids = '9, 9,x' WHERE {these}"),
    Planted("mapping lost", "", "DELETE FROM tigu_prepare_goods_order WHERE prepare_goods_id IN {ids}"),
    Planted(
        "legs free",
        "",
        "UPDATE tigu_prepare_goods_order SET active_leg = NULL WHERE prepare_goods_id IN {ids}",
    ),
    Planted(
        "legs taken",
        "CANCEL",
        "UPDATE tigu_prepare_goods_order SET active_leg = 0 WHERE prepare_goods_id IN {ids}",
    ),
    Planted(
        "state ahead", "PreparePackage", "UPDATE tigu_prepare_goods SET prepare_status = 5 WHERE {these}"
    ),
    Planted(
        "state behind", "PreparePackage", "UPDATE tigu_prepare_goods SET prepare_status = -1 WHERE {these}"
    ),
    Planted(
        "state aside", "PreparePackage", "UPDATE tigu_prepare_goods SET prepare_status = 3 WHERE {these}"
    ),
    Planted(
        "event lost", "PreparePackage", "DELETE FROM package_event WHERE sequence = 1 AND package_id IN {ids}"
    ),
    Planted(
        "proof unmarked",
        "PreparePackage",
        "UPDATE evidence SET used_sha256 = NULL, used_sequence = NULL WHERE package_id IN {ids}",
    ),
    Planted("record lost", "PreparePackage", "DELETE FROM evidence WHERE package_id IN {ids}"),
    Planted("reserve parked", "", "UPDATE outbox SET state = 3 WHERE package_id IN {ids}"),
    Planted("commit refused", "DeliverPackage"),
    Planted("hold gone", ""),
    Planted("hold of other lines", "PreparePackage"),
    Planted("hold not committed", "DeliverPackage"),
    Planted("commit booked nowhere", "DeliverPackage"),
    Planted("hold not released", "CANCEL"),
    Planted("command lost", "", "UPDATE tigu_prepare_goods SET stock_state = 1 WHERE {these}"),
    Planted(
        "rejected by hand",
        "PreparePackage",
        "UPDATE tigu_prepare_goods SET stock_state = 3, rejection_reason = 'x' WHERE {these}",
    ),
    Planted("timeline lost", "PreparePackage", "DELETE FROM package_event WHERE package_id IN {ids}"),
    Planted(
        "last event lost",
        "PreparePackage",
        "DELETE FROM package_event WHERE sequence = 2 AND package_id IN {ids}",
    ),
    Planted(
        "driver wiped",
        "PickUpPackage",
        "UPDATE tigu_prepare_goods SET driver_id = NULL WHERE {these}",
        "DRIVER_TO_USER",
    ),
    Planted(
        "driver came along",
        "PreparePackage",
        "UPDATE tigu_prepare_goods SET driver_id = 5 WHERE {these}",
        "DRIVER_TO_USER",
    ),
    Planted(
        "time of a step",
        "PreparePackage",
        "UPDATE tigu_prepare_goods SET prepare_time = '2001-01-01' WHERE {these}",
    ),
    Planted(
        "order seen elsewhere",
        "DeliverPackage",
        "UPDATE tigu_order SET order_status = 1, shipping_status = 3 WHERE id IN {orders}",
    ),
    Planted(
        "record and bytes differ",
        "PreparePackage",
        "UPDATE evidence SET capture_time = '2001-01-01', width = 1, latitude = 9 WHERE package_id IN {ids}",
    ),
    Planted(
        "marked for another event",
        "PreparePackage",
        "UPDATE evidence SET used_sequence = 99 WHERE package_id IN {ids}",
    ),
    Planted(
        "marked and not named",
        "PreparePackage",
        "UPDATE package_event SET evidence_ids = '[]' WHERE package_id IN {ids}",
    ),
    Planted(
        "id of the hold",
        "PreparePackage",
        "UPDATE tigu_prepare_goods SET reservation_id = CONCAT('x', prepare_sn) WHERE {these}",
    ),
    Planted(
        "stock forgotten", "DeliverPackage", "UPDATE tigu_prepare_goods SET stock_state = 0 WHERE {these}"
    ),
    Planted("photo damaged", ""),
    Planted("photo damaged, copy there", ""),
    Planted("healthy", "DeliverPackage"),
)


def statement(sql: str, sns: Sequence[str]) -> str:
    """The SQL of a kind for these packages."""
    these = "prepare_sn IN (" + ", ".join(f"'{package_sn}'" for package_sn in sns) + ")"
    chosen = f"(SELECT id FROM tigu_prepare_goods WHERE {these})"  # noqa: S608
    orders = f"(SELECT order_id FROM tigu_prepare_goods_order WHERE prepare_goods_id IN {chosen})"  # noqa: S608
    return sql.format(these=these, ids=chosen, orders=orders)


def unmarked(sql: str) -> str:
    """The same as nobody writes it: the service does not take it for a write of the old application."""
    update = "UPDATE tigu_prepare_goods SET "
    return sql.replace(update, f"{update}legacy_write_time = legacy_write_time, ")
