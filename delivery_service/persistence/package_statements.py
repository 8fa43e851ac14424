"""The statements on packages that every package needs, again and again."""

from sqlalchemy import BindParameter, and_, bindparam, case, func, or_, select, update

from delivery_service.domain.workflow import PackageState
from delivery_service.persistence.codes import STATE_CODES
from delivery_service.persistence.fixed import Fixed
from delivery_service.persistence.package_rows import CHANGED_COLUMNS, SKU
from delivery_service.persistence.tables import package_items, package_orders, packages

_this = packages.c.prepare_sn == bindparam("package_sn")
_leg: BindParameter[int] = bindparam("leg")
_active = or_(
    packages.c.prepare_status.is_(None), packages.c.prepare_status < STATE_CODES[PackageState.COMPLETED]
)

PACKAGE = Fixed(select(packages).where(_this))
LOCKED = Fixed(select(packages).where(_this).with_for_update())
ITEMS = Fixed(
    select(package_items.c.order_item_id, SKU, package_items.c.quantity)
    .join(packages, packages.c.id == package_items.c.prepare_id)
    .where(_this)
    .order_by(package_items.c.id)
)
ORDERS = Fixed(
    select(package_orders.c.order_id)
    .join(packages, packages.c.id == package_orders.c.prepare_goods_id)
    .where(_this)
    .order_by(package_orders.c.order_id)
)

OF_ORDERS = Fixed(
    select(
        package_orders.c.order_id,
        packages.c.id,
        packages.c.prepare_sn,
        packages.c.delivery_type,
        packages.c.shipping_type,
        packages.c.type,
        packages.c.prepare_status,
        packages.c.warehouse_id,
    )
    .join(packages, packages.c.id == package_orders.c.prepare_goods_id)
    .where(package_orders.c.order_id.in_(bindparam("order_ids", expanding=True)))
)
PACKED_UNITS = Fixed(
    select(package_items.c.order_item_id, func.sum(package_items.c.quantity).label("units"))
    .join(packages, packages.c.id == package_items.c.prepare_id)
    .where(
        package_items.c.order_item_id.in_(bindparam("order_item_ids", expanding=True)),
        packages.c.type == bindparam("leg"),
        or_(
            packages.c.prepare_status.is_(None),
            packages.c.prepare_status != STATE_CODES[PackageState.CANCELLED],
        ),
    )
    .group_by(package_items.c.order_item_id)
)

SAVE = Fixed(
    update(packages)
    .where(packages.c.id == bindparam("package_id"), packages.c.version == bindparam("before"))
    .values(legacy_write_time=packages.c.legacy_write_time),
    CHANGED_COLUMNS,
)
SAVE_ARRIVED = Fixed(
    update(packages)
    .where(packages.c.id == bindparam("package_id"), packages.c.version == bindparam("before"))
    .values(legacy_write_time=packages.c.legacy_write_time),
    [*CHANGED_COLUMNS, "actual_arrival_time"],
)
FREE_LEGS = Fixed(
    update(package_orders)
    .where(package_orders.c.prepare_goods_id.in_(bindparam("package_ids", expanding=True)))
    .values(active_leg=None)
)

_free = (
    select(
        package_orders.c.order_id,
        func.min(case((and_(packages.c.type == _leg, _active), packages.c.id))).label("first_waiting"),
    )
    .outerjoin(packages, packages.c.id == package_orders.c.prepare_goods_id)
    .where(package_orders.c.order_id.in_(bindparam("order_ids", expanding=True)))
    .group_by(package_orders.c.order_id)
    .having(func.count(case((package_orders.c.active_leg == _leg, 1))) == 0)
    .subquery("free")
)
# Only the old application puts an order into two active packages. Where it ends one, following.py does this.
HAND_ON_LEGS = Fixed(
    update(package_orders)
    .where(
        package_orders.c.order_id == _free.c.order_id,
        package_orders.c.prepare_goods_id == _free.c.first_waiting,
    )
    .values(active_leg=_leg)
)
