"""Settings → engine, gateways, use cases, servicers, workers: the only wiring."""

import asyncio
from datetime import timedelta
from functools import partial
from importlib import resources

from sqlalchemy.ext.asyncio import AsyncEngine

from delivery_service.adoption.hindrance import hindrance
from delivery_service.application.await_settlement import Settlements
from delivery_service.application.reconcile import Reconciler
from delivery_service.application.stock_ports import Inventory
from delivery_service.contract_steps.steps import STEPS
from delivery_service.gateways.inventory import CALL_SECONDS, InventoryGateway, channel_renewal, open_channel
from delivery_service.gateways.photo_reader import PillowPhotoReader
from delivery_service.gateways.photo_store import FsspecPhotoStore
from delivery_service.gateways.photo_store_probe import photo_store_probe
from delivery_service.persistence.index_usage import index_usage
from delivery_service.persistence.named_queries import NAMED_QUERIES, sample
from delivery_service.persistence.probes import service_probes
from delivery_service.persistence.unit_of_work import SqlUnitOfWork
from delivery_service.rpc import servicer
from delivery_service.rpc.consistency import checks_of, consistency_checks
from delivery_service.rpc.outbox_methods import Outbox
from delivery_service.rpc.reconciliation import reconciliation
from delivery_service.rpc.request_unit_of_work import RequestUnitOfWork
from delivery_service.rpc.statuses import STATUSES
from delivery_service.settings import Settings
from delivery_service.workers.evidence_sweep import evidence_sweep
from delivery_service.workers.legacy_following import legacy_following
from delivery_service.workers.outbox_expiry import outbox_expiry
from delivery_service.workers.outbox_relay import OutboxRelay
from servicekit import traces
from servicekit.access.security import Security, security
from servicekit.operations import channelz, ops
from servicekit.operations.grpcurl import grpcurl
from servicekit.operations.probes import common_probes
from servicekit.operations.query_plans import NamedQueries
from servicekit.persistence.engines import create_engine
from servicekit.persistence.expiry import request_expiry
from servicekit.persistence.transactions import Transactions
from servicekit.process.server import Service
from servicekit.rpc.mutations import Mutations
from servicekit.schema.migrations import Schema
from servicekit.settings import admin_address, shown
from servicekit.tasks import Tasks
from servicekit.telemetry.metrics import Metrics

ADMIN_LISTEN = "127.0.0.1:7422"
"""Where operators are served if the service listens to other machines and no address is set."""
CALLERS = resources.files("delivery_service") / "callers.toml"
SERVICES = (servicer.SERVICE_NAME, ops.SERVICE_NAME, channelz.SERVICE_NAME)


def build(settings: Settings) -> Service:
    """The service, ready to be served. Call it inside the event loop: channels belong to theirs."""
    engine = create_engine(settings.database_url, pool_size=settings.pool_size)
    guard = security(settings, CALLERS, SERVICES)
    pems = guard.certificates.current() if guard else None
    gateway = InventoryGateway(open_channel(settings.inventory_address, pems))
    service = assemble(settings, engine, gateway, guard)
    if guard and pems:
        renewal = channel_renewal(gateway, settings.inventory_address, guard.certificates, pems)
        service.pollers = [*service.pollers, renewal]
    service.close = [gateway.close, *service.close]
    return service


def assemble(
    settings: Settings, engine: AsyncEngine, inventory: Inventory, guard: Security | None = None
) -> Service:
    """The service over an engine and an inventory that are there already; in plaintext without a guard."""
    traces.begin("delivery", settings.otlp_endpoint)
    transactions: Transactions[RequestUnitOfWork] = Transactions(
        engine, SqlUnitOfWork, at_once=settings.pool_size
    )
    # Where callers are refused because too many wait, what they have begun goes on.
    patient = transactions.patient()
    tasks = Tasks()
    settlements = Settlements(transactions)
    photos = FsspecPhotoStore(settings.evidence_url)
    reader = PillowPhotoReader()
    relay = OutboxRelay(
        patient,
        inventory,
        settlements.notify,
        idle_seconds=settings.relay_seconds,
        lease_seconds=settings.relay_lease_seconds,
    )
    draining = asyncio.Event()
    mutations = Mutations(transactions, tasks)
    delivery = servicer.DeliveryServicer(
        transactions,
        mutations,
        settlements,
        relay.nudge,
        photos,
        reader,
        draining,
    )
    sweep = evidence_sweep(
        patient,
        photos,
        unused_days=settings.evidence_unused_days,
        idle_seconds=settings.evidence_sweep_seconds,
    )
    following = settings.legacy_follow_seconds
    history = Schema("delivery", hindrance=hindrance)
    checks = checks_of(transactions, inventory, photos, reader)
    quiet = timedelta(seconds=settings.relay_lease_seconds + CALL_SECONDS)
    reconciler = partial(Reconciler, transactions, inventory, photos, reader, quiet)
    # Operators are answered over connections of their own: they ask when the others are used up.
    watching = create_engine(settings.database_url, pool_size=None)
    admin_listen = admin_address(settings.listen, settings.admin_listen, ADMIN_LISTEN)
    by_hand = grpcurl(settings, "$DELIVERY_ADDRESS", admin_listen)
    probes = {
        **common_probes(engine, watching, history, transactions),
        **service_probes(watching, by_hand),
        "evidence": photo_store_probe(photos),
    }
    metrics = Metrics()
    metrics.pool(engine, lambda: transactions.waiting)
    operators = ops.OpsServicer(
        "delivery",
        watching,
        history,
        shown(settings),
        consistency_checks(checks),
        lambda: STEPS.stand(watching, history),
        reconcile=reconciliation(transactions, tasks, checks, reconciler),
        outbox=Outbox(transactions, mutations, relay.nudge),
        index_usage=index_usage,
        queries=NamedQueries(NAMED_QUERIES, SqlUnitOfWork, sample),
        probes=probes,
    )

    def wake_waiters() -> None:
        settlements.drain()
        draining.set()
        operators.drain()

    return Service(
        name="delivery",
        grpc_services=(servicer.SERVICE_NAME,),
        listen=settings.listen,
        admin_listen=admin_listen,
        admin_services=(ops.SERVICE_NAME,),
        register_admin=lambda server: ops.register(server, operators),
        metrics=metrics,
        metrics_listen=settings.metrics_listen,
        probes=probes,
        diagnose_seconds=settings.diagnose_seconds,
        engine=engine,
        schema=history,
        statuses=STATUSES,
        register=lambda server: servicer.register(server, delivery),
        tasks=tasks,
        security=guard,
        pollers=[
            relay,
            sweep,
            outbox_expiry(patient),
            request_expiry(patient),
            *([legacy_following(patient, following)] if following else []),
        ],
        long_calls=ops.LONG_CALLS,
        wake_waiters=wake_waiters,
        close=[traces.end],
        drain_pause_seconds=settings.drain_pause_seconds,
    )
