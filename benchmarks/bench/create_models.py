"""The tables of a package as classes of an ORM, for the form of its creation that is measured beside the service's."""

from typing import Any

from sqlalchemy.orm import DeclarativeBase, Mapped, relationship

from delivery_service.persistence import tables
from delivery_service.persistence.order_lists import listed_packages


class _Mapped(DeclarativeBase):
    """Tables that name no foreign keys: each relationship says what it follows."""

    def __init__(self, **values: Any) -> None:
        for name, value in values.items():
            setattr(self, name, value)


class OrderItem(_Mapped):
    """What was ordered."""

    __table__ = tables.order_items


class Order(_Mapped):
    """An order with its items."""

    __table__ = tables.orders
    items: Mapped[list[OrderItem]] = relationship(
        primaryjoin=lambda: Order.__table__.c.id == OrderItem.__table__.c.order_id,
        foreign_keys=lambda: OrderItem.__table__.c.order_id,
        order_by=lambda: OrderItem.__table__.c.id,
    )


class PackageItem(_Mapped):
    """What is in a package."""

    __table__ = tables.package_items


class PackageEvent(_Mapped):
    """One entry of a timeline."""

    __table__ = tables.package_events


class OutboxEntry(_Mapped):
    """One wish for inventory."""

    __table__ = tables.outbox


class PackageOrder(_Mapped):
    """That an order is in a package."""

    __table__ = tables.package_orders
    package: Mapped["Package"] = relationship(
        primaryjoin=lambda: listed_packages.c.id == PackageOrder.__table__.c.prepare_goods_id,
        foreign_keys=lambda: PackageOrder.__table__.c.prepare_goods_id,
        back_populates="links",
    )


class Package(_Mapped):
    """A package with everything that is written with it."""

    __table__ = listed_packages
    items: Mapped[list[PackageItem]] = relationship(
        primaryjoin=lambda: Package.__table__.c.id == PackageItem.__table__.c.prepare_id,
        foreign_keys=lambda: PackageItem.__table__.c.prepare_id,
    )
    links: Mapped[list[PackageOrder]] = relationship(
        primaryjoin=lambda: Package.__table__.c.id == PackageOrder.__table__.c.prepare_goods_id,
        foreign_keys=lambda: PackageOrder.__table__.c.prepare_goods_id,
        back_populates="package",
    )
    events: Mapped[list[PackageEvent]] = relationship(
        primaryjoin=lambda: Package.__table__.c.id == PackageEvent.__table__.c.package_id,
        foreign_keys=lambda: PackageEvent.__table__.c.package_id,
    )
