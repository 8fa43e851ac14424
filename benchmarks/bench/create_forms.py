"""The transaction of CreatePackage by itself: as the service runs it, and as an ORM would write the same rows.

The ORM form makes the checks that the service makes of a package on leg 0, but does not look for writes of the old
application, which spares it two statements. Its rows are compared with the service's by a test.
"""

import itertools
import json
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import selectinload

from benchmarks.bench import create_models
from benchmarks.bench.inventory_steps import Kind, Wish
from benchmarks.bench.loops import Step
from delivery_service.application.create_package import CreatePackage, create_package
from delivery_service.domain.package_event import Actor
from delivery_service.domain.package_sn import new_package_sn
from delivery_service.domain.workflow import ActorRole, Workflow
from delivery_service.persistence.unit_of_work import SqlUnitOfWork
from servicekit.persistence.engines import create_engine
from servicekit.persistence.transactions import Transactions

# Their attributes come from the tables, which a type checker cannot follow.
models: Any = create_models

SHOP = 1
POOL = 10
# As the legacy tables have it: packages whose status is at least `COMPLETED` have ended.
PENDING, COMPLETED, REQUESTED, SHIPPABLE = -1, 6, 1, 1


def command_of(order_id: int) -> CreatePackage:
    """Everything of one order, from the merchant to the user."""
    return CreatePackage(
        package_sn=f"PG{order_id}",
        workflow=Workflow.MERCHANT_TO_USER,
        leg=0,
        shop_id=SHOP,
        warehouse_id=None,
        order_ids=(order_id,),
        items=(),
        actor=Actor(ActorRole.MERCHANT, str(SHOP)),
        trace="bench",
    )


@asynccontextmanager
async def as_the_service(wish: Wish) -> AsyncIterator[Step]:
    """The use case in its transaction."""
    engine = create_engine(wish["url"], pool_size=POOL)
    transactions = Transactions(engine, SqlUnitOfWork, at_once=POOL)
    orders = itertools.count(wish["first_order"])

    async def step(_: int) -> int:
        command = command_of(next(orders))
        await transactions.run(lambda uow: create_package(command, uow, new_package_sn), repeatable=True)
        return 1

    yield step
    await engine.dispose()


@asynccontextmanager
async def as_an_orm(wish: Wish) -> AsyncIterator[Step]:
    """The same in a session's transaction."""
    engine = create_engine(wish["url"], pool_size=POOL)
    sessions = async_sessionmaker(engine, expire_on_commit=False)
    orders = itertools.count(wish["first_order"])

    async def step(_: int) -> int:
        command = command_of(next(orders))
        async with sessions.begin() as session:
            await create_by_orm(command, session)
        return 1

    yield step
    await engine.dispose()


async def create_by_orm(command: CreatePackage, session: AsyncSession) -> None:
    """Raises LookupError where the order is unknown, ValueError where it cannot be packed."""
    naive = (await session.execute(select(func.utc_timestamp(6)))).scalar_one()
    now = naive.replace(tzinfo=UTC)
    orders = (
        await session.scalars(
            select(models.Order)
            .where(models.Order.id.in_(command.order_ids))
            .order_by(models.Order.id)
            .options(selectinload(models.Order.items))
            .with_for_update()
        )
    ).all()
    if {order.id for order in orders} != set(command.order_ids):
        raise LookupError(command.order_ids)
    if any(order.shop_id != command.shop_id or order.order_status != SHIPPABLE for order in orders):
        raise ValueError("not shippable")
    same = select(models.Package).where(models.Package.prepare_sn == command.package_sn)
    if (await session.scalars(same)).one_or_none() is not None:
        raise ValueError("there is such a package")
    await _require_unpacked(command, orders, session)
    package = _package(command, orders, now)
    session.add(package)
    await session.flush()
    session.add(_wish(command, package, now))
    for order in orders:
        order.shipping_status = PENDING + 1
        order.update_time = now


async def _require_unpacked(command: CreatePackage, orders: Sequence[Any], session: AsyncSession) -> None:
    links = select(models.PackageOrder).where(models.PackageOrder.order_id.in_(command.order_ids))
    of_orders = links.options(selectinload(models.PackageOrder.package))
    if any(link.package.prepare_status < COMPLETED for link in await session.scalars(of_orders)):
        raise ValueError("packed already")
    items = [item.id for order in orders for item in order.items]
    packed = select(models.PackageItem).where(models.PackageItem.order_item_id.in_(items))
    if (await session.scalars(packed)).first() is not None:
        raise ValueError("nothing is left to pack")


def _package(command: CreatePackage, orders: Sequence[Any], now: datetime) -> Any:
    return models.Package(
        prepare_sn=command.package_sn,
        order_ids=",".join(str(order.id) for order in orders),
        delivery_type=0,
        shipping_type=1,
        prepare_status=PENDING,
        type=0,
        shop_id=command.shop_id,
        version=1,
        stock_state=REQUESTED,
        attempt=1,
        reservation_id=f"{command.package_sn}:1",
        content_digest=command.content_digest(),
        create_time=now,
        update_time=now,
        items=[
            models.PackageItem(order_item_id=item.id, sku=item.sku, quantity=item.quantity, create_time=now)
            for order in orders
            for item in order.items
        ],
        links=[models.PackageOrder(order_id=order.id, active_leg=0) for order in orders],
        events=[
            models.PackageEvent(
                sequence=1,
                verb="CREATE",
                to_status=PENDING,
                actor_role="MERCHANT",
                actor_id=command.actor.actor_id,
                evidence_ids="[]",
                note="",
                create_time=now,
            )
        ],
    )


def _wish(command: CreatePackage, package: Any, now: datetime) -> Any:
    lines = {item.sku: item.quantity for item in package.items}
    return models.OutboxEntry(
        event_id=uuid.uuid4().hex,
        package_id=package.id,
        package_sn=package.prepare_sn,
        package_version=1,
        command="RESERVE",
        payload=json.dumps({"reservation_id": package.reservation_id, "lines": lines}),
        trace=command.trace,
        state=0,
        attempts=0,
        next_attempt_time=now,
        create_time=now,
    )


KINDS: Mapping[str, Kind] = {"create-transaction": as_the_service, "create-orm": as_an_orm}
