"""Settings → engine, use cases, servicers, workers: the only wiring."""

import asyncio
from importlib import resources

from inventory_service.adoption.hindrance import hindrance
from inventory_service.contract_steps.steps import STEPS
from inventory_service.persistence.index_usage import index_usage
from inventory_service.persistence.ledger_partitions import LEDGER_STAYS
from inventory_service.persistence.named_queries import NAMED_QUERIES, sample
from inventory_service.persistence.probes import service_probes
from inventory_service.persistence.unit_of_work import SqlUnitOfWork
from inventory_service.rpc import servicer
from inventory_service.rpc.consistency import consistency_checks
from inventory_service.rpc.reconciliation import reconciliation
from inventory_service.rpc.request_unit_of_work import RequestUnitOfWork
from inventory_service.rpc.statuses import STATUSES
from inventory_service.settings import Settings
from inventory_service.workers.batch_metrics import BatchMetrics
from inventory_service.workers.fact_counting import fact_counting
from inventory_service.workers.group_commit import MOST_SECONDS, GroupCommit
from inventory_service.workers.import_expiry import import_expiry
from inventory_service.workers.ledger_preparation import ledger_preparation
from inventory_service.workers.left_overs import AT_ONCE, LOCK_SECONDS, LeftOvers
from inventory_service.workers.low_stock import low_stock
from inventory_service.workers.metrics_refresh import MetricsRefresher, metrics_refresh
from inventory_service.workers.reservation_expiry import reservation_expiry
from servicekit import traces
from servicekit.access.security import security
from servicekit.operations import channelz, ops
from servicekit.operations.grpcurl import grpcurl
from servicekit.operations.outboxes import NoOutbox
from servicekit.operations.probes import common_probes
from servicekit.operations.query_plans import NamedQueries
from servicekit.persistence.engines import create_engine
from servicekit.persistence.expiry import request_expiry
from servicekit.persistence.transactions import KEPT_FOR_READS, Transactions, own_time
from servicekit.process.server import Service
from servicekit.rpc.mutations import Mutations
from servicekit.schema.migrations import Schema
from servicekit.settings import admin_address, shown
from servicekit.tasks import Tasks
from servicekit.telemetry.metrics import Metrics

ADMIN_LISTEN = "127.0.0.1:7421"
"""Where operators are served if the service listens to other machines and no address is set."""
CALLERS = resources.files("inventory_service") / "callers.toml"
SERVICES = (servicer.SERVICE_NAME, ops.SERVICE_NAME, channelz.SERVICE_NAME)


def build(settings: Settings) -> Service:
    """The service, ready to be served."""
    traces.begin("inventory", settings.otlp_endpoint)
    engine = create_engine(settings.database_url, pool_size=settings.pool_size)
    transactions: Transactions[RequestUnitOfWork] = Transactions(
        engine, SqlUnitOfWork, at_once=settings.pool_size, before_snapshot=LEDGER_STAYS
    )
    # Where callers are refused because too many wait, what nobody waits for goes on.
    patient = transactions.patient()
    tasks = Tasks()
    # A refresh takes seconds: over a connection of its own it takes none from the calls.
    refreshing = create_engine(settings.database_url, pool_size=1)
    refresher = MetricsRefresher(Transactions(refreshing, SqlUnitOfWork, at_once=1, most_seconds=None))
    # One connection for all batches: several would only wait for each other's rows. Its waits are short: what
    # somebody keeps locked is then left out, so that nobody else waits for it.
    batching = create_engine(
        settings.database_url, pool_size=1, lock_seconds=0.1, by_index=True, pre_ping=False
    )
    batches = Transactions(batching, SqlUnitOfWork, at_once=1, time=own_time, most_seconds=MOST_SECONDS)
    metrics = Metrics()
    metrics.pool(engine, lambda: transactions.waiting)
    # And a few for those left out: theirs are long, and take no connection from the calls.
    waiting = create_engine(
        settings.database_url, pool_size=AT_ONCE, lock_seconds=LOCK_SECONDS, by_index=True
    )
    locked = Transactions(waiting, SqlUnitOfWork, at_once=AT_ONCE + KEPT_FOR_READS, time=own_time)
    left_overs = LeftOvers(locked.patient(), tasks)
    group_commit = GroupCommit(batches, left_overs, tasks, batch_ended=BatchMetrics(metrics).batch_ended)
    metrics.gauge(
        "holdfast_group_commit_queue_length",
        "Wishes that wait for the next batch.",
        lambda: group_commit.waiting,
    )
    draining = asyncio.Event()
    inventory = servicer.InventoryServicer(
        transactions, Mutations(transactions, tasks), group_commit.submit, refresher.refresh, draining
    )
    schema = Schema("inventory", hindrance=hindrance)
    checks = consistency_checks(transactions)
    # Operators are answered over connections of their own: they ask when the others are used up.
    watching = create_engine(settings.database_url, pool_size=None)
    admin_listen = admin_address(settings.listen, settings.admin_listen, ADMIN_LISTEN)
    by_hand = grpcurl(settings, "$INVENTORY_ADDRESS", admin_listen)
    probes = {
        **common_probes(engine, watching, schema, transactions),
        **service_probes(watching, settings.metrics_refresh_seconds, by_hand),
    }
    operators = ops.OpsServicer(
        "inventory",
        watching,
        schema,
        shown(settings),
        checks,
        lambda: STEPS.stand(watching, schema),
        reconcile=reconciliation(transactions, tasks, checks),
        outbox=NoOutbox(),
        index_usage=index_usage,
        queries=NamedQueries(NAMED_QUERIES, SqlUnitOfWork, sample),
        probes=probes,
    )

    every = settings.metrics_refresh_seconds

    def wake_waiters() -> None:
        refresher.stop()
        draining.set()
        operators.drain()

    return Service(
        name="inventory",
        grpc_services=(servicer.SERVICE_NAME,),
        listen=settings.listen,
        admin_listen=admin_listen,
        admin_services=(ops.SERVICE_NAME,),
        register_admin=lambda server: ops.register(server, operators),
        security=security(settings, CALLERS, SERVICES, own_ids=True),
        metrics=metrics,
        metrics_listen=settings.metrics_listen,
        probes=probes,
        diagnose_seconds=settings.diagnose_seconds,
        engine=engine,
        schema=schema,
        statuses=STATUSES,
        register=lambda server: servicer.register(server, inventory),
        tasks=tasks,
        pollers=[
            reservation_expiry(patient, settings.sweep_seconds),
            fact_counting(patient, settings.facts_seconds),
            ledger_preparation(patient, settings.ledger_months_ahead),
            request_expiry(patient),
            import_expiry(patient),
            low_stock(patient, settings.sweep_seconds),
            *([metrics_refresh(patient, refresher, every)] if every else []),
        ],
        long_calls=servicer.LONG_CALLS | ops.LONG_CALLS,
        wake_waiters=wake_waiters,
        close=[batching.dispose, waiting.dispose, refreshing.dispose, traces.end],
        drain_pause_seconds=settings.drain_pause_seconds,
    )
