"""What anybody reads about an order: callers over gRPC, and old readers in the tables."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from holdfast.delivery.v1 import order_pb2
from holdfast.delivery.v1 import package_pb2 as pb
from sqlalchemy import Text, literal_column, select

from delivery_service.persistence.tables import (
    evidence,
    order_actions,
    orders,
    package_events,
    package_orders,
    packages,
)
from tests.delivery_service.client import Delivery
from tests.delivery_service.model import STATES, Event, Model, Photo

Photos = Mapping[str, Photo]
"""Photos by evidence_id."""

# As the tables number them.
STOCK_STATES = [
    "NOT_TRACKED",
    "REQUESTED",
    "HELD",
    "REJECTED",
    "COMMIT_PENDING",
    "COMMITTED",
    "RELEASE_PENDING",
    "RELEASED",
]


Facts = tuple[str, str, str, str]
"""State, stock state, driver and etag of a package."""


@dataclass
class Records:
    """What is to be read about one order: by callers, and by old readers of the tables."""

    packages: dict[str, Facts]
    timelines: dict[str, list[Event]]
    legs: dict[str, tuple[str, int | None]]
    order: tuple[int, int]
    actions: list[tuple[int, int, int]]
    proofs: set[str]
    """The photos that prove something, of all orders."""

    @classmethod
    def expected(cls, model: Model, order_id: str) -> "Records":
        """What the model has."""
        parcels = model.of_order(order_id)
        return cls(
            {p.package_sn: (p.state, p.stock, p.driver_id, f"v{p.version}") for p in parcels},
            {p.package_sn: p.events for p in parcels},
            {p.package_sn: (order_id, p.leg if p.active else None) for p in parcels},
            (model.order_status[order_id], model.shipping_status(order_id)),
            model.actions[order_id],
            model.used,
        )


async def stored(delivery: Delivery, order_id: str, photos: Photos) -> Records:
    """What the tables have."""
    ours = select(package_orders.c.prepare_goods_id).where(package_orders.c.order_id == int(order_id))
    listed = literal_column("tigu_prepare_goods.order_ids", Text).label("listed")
    rows = select(packages, listed, package_orders.c.active_leg).join(
        package_orders, package_orders.c.prepare_goods_id == packages.c.id
    )
    told = select(order_actions).where(order_actions.c.order_id == int(order_id))
    events = select(package_events).where(package_events.c.package_id.in_(ours))
    used = select(evidence.c.evidence_id).where(evidence.c.used_sha256.is_not(None))
    async with delivery.engine.connect() as connection:
        found = (await connection.execute(rows.where(package_orders.c.order_id == int(order_id)))).all()
        order = (await connection.execute(select(orders).where(orders.c.id == int(order_id)))).one()
        actions = (await connection.execute(told.order_by(order_actions.c.id))).all()
        timeline = (await connection.execute(events.order_by(package_events.c.sequence))).all()
        proofs = set((await connection.execute(used)).scalars())
    names = {row.id: row.prepare_sn for row in found}
    timelines: dict[str, list[Event]] = {name: [] for name in names.values()}
    for row in timeline:
        timelines[names[row.package_id]].append(_stored_event(row, photos))
    return Records(
        {row.prepare_sn: _stored_package(row) for row in found},
        timelines,
        {row.prepare_sn: (row.listed, row.active_leg) for row in found},
        (order.order_status, order.shipping_status),
        [(row.action_type, row.order_status, row.shipping_status) for row in actions],
        {photos[evidence_id].content for evidence_id in proofs},
    )


async def read(
    delivery: Delivery, order_id: str, photos: Photos
) -> tuple[dict[str, Facts], dict[str, list[Event]]]:
    """The order's packages and their timelines as callers read them."""
    request = order_pb2.ListOrderPackagesRequest(order_id=order_id, page_size=1000)
    found = (await delivery.stub.ListOrderPackages(request, timeout=10)).packages
    timelines = {
        package.package_sn: await _timeline(delivery, package.package_sn, photos) for package in found
    }
    return {package.package_sn: _package(package) for package in found}, timelines


async def _timeline(delivery: Delivery, package_sn: str, photos: Photos) -> list[Event]:
    request = pb.ListPackageEventsRequest(package_sn=package_sn, page_size=1000)
    reply = await delivery.stub.ListPackageEvents(request, timeout=10)
    return [
        Event(
            word(pb.Verb, event.verb),
            word(pb.PackageState, event.from_state),
            word(pb.PackageState, event.to_state),
            word(pb.ActorRole, event.actor_role),
            event.actor_id,
            event.driver_id,
            frozenset(photos[evidence_id] for evidence_id in event.evidence_ids),
        )
        for event in reply.events
    ]


def _stored_event(row: Any, photos: Photos) -> Event:
    before = "UNSPECIFIED" if row.from_status is None else _state(row.from_status)
    by = row.actor_role, row.actor_id, str(row.driver_id or "")
    shown = frozenset(photos[evidence_id] for evidence_id in json.loads(row.evidence_ids))
    return Event(row.verb, before, _state(row.to_status), *by, shown)


def _package(package: pb.Package) -> Facts:
    states = word(pb.PackageState, package.state), word(pb.StockState, package.stock_state)
    return (*states, package.driver_id, package.etag)


def _state(code: int) -> str:
    """The state that the tables store as its place on the longest path, less one."""
    return [*STATES, "CANCELLED"][code + 1]


def _stored_package(row: Any) -> Facts:
    driver_id = str(row.driver_id or "")
    return (_state(row.prepare_status), STOCK_STATES[row.stock_state], driver_id, f"v{row.version}")


def word(enum: Any, value: int) -> str:
    """The value's name without its prefix."""
    prefix = enum.Name(0).removesuffix("UNSPECIFIED")
    name: str = enum.Name(value)
    return name.removeprefix(prefix)
