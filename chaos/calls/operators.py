"""What operators ask that changes something, of either service; a call's name is as in `delivery` and `inventory`."""

from collections.abc import Sequence

from holdfast.delivery.v1 import package_pb2
from holdfast.ops.v1 import ops_pb2, ops_pb2_grpc
from sqlalchemy import text

from chaos.calls.call import SECONDS, Call
from chaos.calls.delivery import package_state, packed
from chaos.calls.inventory import held
from chaos.calls.stocks import stock_state
from delivery_service.domain.workflow import StockState
from delivery_service.persistence.codes import STOCK_STATE_CODES
from delivery_service.persistence.outbox import PARKED
from servicekit.persistence.engines import create_engine
from tests.support.town import Town

_WRITTEN_OVER = (
    "UPDATE tigu_prepare_goods SET legacy_write_time = legacy_write_time, order_ids = '9',"
    " update_time = UTC_TIMESTAMP() - INTERVAL 1 HOUR WHERE prepare_sn = :package_sn"
)
"""Long ago: what changed a moment ago is not judged yet. And not as the old application writes."""
_PARKED = "UPDATE outbox SET state = :parked WHERE package_sn = :package_sn"
_ASKING = "UPDATE tigu_prepare_goods SET stock_state = :requested WHERE prepare_sn = :package_sn"
"""As if inventory had not answered yet."""
_MISCOUNTED = "UPDATE inventory.stock SET reserved_quantity = 0 WHERE sku = :sku"


async def write_over(town: Town, package_sn: str) -> None:
    """Somebody writes another order into the package, past the service."""
    await _execute(town.pair.delivery_url, _WRITTEN_OVER, package_sn=package_sn)


async def repair_orders(town: Town, package_sn: str) -> None:
    """Delivery's Reconcile of such packages; the same call for the same package."""
    await town.reconcile(town.delivery_channel, "mapping", request_id=package_sn)


async def _execute(url: str, *statements: str, **values: str | int) -> None:
    """Over a session like the services' own: what others write, the schema refuses or explains."""
    engine = create_engine(url, pool_size=1)
    try:
        async with engine.begin() as connection:
            for statement in statements:
                await connection.execute(text(statement), values)
    finally:
        await engine.dispose()


async def _written_over(town: Town, name: str) -> None:
    package = await packed(town, name, package_pb2.WORKFLOW_MERCHANT_TO_USER)
    await write_over(town, package.package_sn)


async def _repair_orders(town: Town, name: str) -> None:
    await repair_orders(town, f"PG{name}")


async def _miscounted(town: Town, name: str) -> None:
    await held(town, name)
    await _execute(town.pair.inventory_url, _MISCOUNTED, sku=name)


async def _repair_holds(town: Town, name: str) -> None:
    await town.reconcile(town.inventory_channel, "holds", request_id=name)


class _Requeue:
    """RequeueOutbox of commands that were parked by hand; once put back, they are known by their ids only."""

    def __init__(self) -> None:
        self._entries: dict[str, str] = {}

    async def arrange(self, town: Town, name: str) -> None:
        package = await packed(town, name, package_pb2.WORKFLOW_MERCHANT_TO_USER)
        await _execute(
            town.pair.delivery_url,
            *(_PARKED, _ASKING),
            package_sn=package.package_sn,
            parked=PARKED,
            requested=STOCK_STATE_CODES[StockState.REQUESTED],
        )
        parked = await town.insist(self._parked, town)
        [self._entries[name]] = (each.entry_id for each in parked if each.aggregate == package.package_sn)

    async def ask(self, town: Town, name: str) -> None:
        request = ops_pb2.RequeueOutboxRequest(
            entry_id=self._entries[name], note="mended", request_id=f"{name}-requeue"
        )
        dispatcher = town.parties.metadata("dispatcher")
        await self._stub(town).RequeueOutbox(request, metadata=dispatcher, timeout=SECONDS)

    async def _parked(self, town: Town) -> Sequence[ops_pb2.OutboxEntry]:
        request = ops_pb2.ListOutboxRequest(state=ops_pb2.OUTBOX_STATE_PARKED, page_size=1_000)
        return (await self._stub(town).ListOutbox(request, timeout=SECONDS)).entries

    def _stub(self, town: Town) -> "ops_pb2_grpc.OpsServiceAsyncStub":
        return ops_pb2_grpc.OpsServiceStub(town.delivery_channel)


_REQUEUE = _Requeue()
OF_INVENTORY: Sequence[Call] = (Call("Reconcile", _repair_holds, stock_state, _miscounted),)
OF_DELIVERY: Sequence[Call] = (
    Call("Reconcile", _repair_orders, package_state, _written_over),
    Call("RequeueOutbox", _REQUEUE.ask, package_state, _REQUEUE.arrange),
)
