"""Odd requests to the methods themselves, as they stand behind the wire, over stores that are out of reach.

On the wire a call costs so much that 50,000 are many. Here are a million: of everything that looks at a request before
a statement is made of it.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Never

import grpc
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from holdfast.delivery.v1 import delivery_pb2
from holdfast.inventory.v1 import inventory_pb2

import delivery_service.rpc.servicer as delivery
import inventory_service.rpc.servicer as inventory
from chaos.campaign import Campaign, Trial
from chaos.random_requests import RandomRequests
from delivery_service.application.await_settlement import Settlements
from delivery_service.gateways.photo_reader import PillowPhotoReader
from delivery_service.gateways.photo_store import FsspecPhotoStore
from delivery_service.persistence.unit_of_work import SqlUnitOfWork as DeliveryUnitOfWork
from delivery_service.rpc.statuses import STATUSES as DELIVERY_STATUSES
from devtools.journey import photo
from inventory_service.persistence.unit_of_work import SqlUnitOfWork as InventoryUnitOfWork
from inventory_service.rpc.statuses import STATUSES as INVENTORY_STATUSES
from servicekit.errors import DatabaseUnavailable
from servicekit.persistence.engines import create_engine
from servicekit.persistence.transactions import Transactions
from servicekit.rpc.error_status import ErrorStatuses
from servicekit.rpc.interceptor import CallInterceptor
from servicekit.rpc.mutations import Mutations
from servicekit.tasks import Tasks
from tests.support.memory import megabytes

MORE_MEGABYTES = 50
WARM = 10_000
"""After so many calls whatever is kept for good is there."""
TURN = 200
"""After so many calls others of the loop have theirs."""
MOST_ANSWERS = 200
REACHED = "answered UNAVAILABLE"
FAULTS = {"INTERNAL", "UNKNOWN", "DATA_LOSS", "DEADLINE_EXCEEDED"}
"""What no request may lead to."""
KNOWN: Mapping[str, Sequence[str]] = {
    "sku": ("TEA-500", "CUP-2"),
    "order_id": ("1", "20"),
    "package_sn": ("PG1", "PG2"),
    "reservation_id": ("PG1:1", "r-2"),
    "etag": ("", "", "v1", "v2"),
    "request_id": ("", "q-1", "q-2"),
    "evidence_id": ("e-1",),
    "shop_id": ("7",),
    "warehouse_id": ("3",),
    "driver_id": ("5",),
    "page_token": ("",),
    "path": ("location", "details"),
}
ACTORS = {"merchant": "7", "warehouse": "3", "driver": "5", "dispatcher": "control-room", "system": "tests"}


async def run(trial: Trial) -> None:
    """Calls of all methods in turn; what is well formed gets as far as to the store."""
    methods = [*_inventorys(), *_deliverys(trial.folder)]
    requests = RandomRequests(trial.random, KNOWN, photo("fuzz"))
    warm = 0.0
    while trial.more:
        method, handler = methods[trial.attempts % len(methods)]
        sent, metadata = requests.messages(method), requests.metadata(ACTORS)
        code, details = await _answered(handler, sent, metadata)
        trial.contention[f"answered {code}"] += 1
        if code in FAULTS:
            content = [message.hex()[:400] for message in sent[:3]]
            trial.violations.append(f"{method.name}: {code} {details} to {metadata} {content}")
        trial.attempted()
        if trial.attempts == WARM:
            warm = megabytes()
        if trial.attempts % TURN == 0:
            await asyncio.sleep(0)
    if warm:
        now = megabytes()
        trial.require(
            now < warm + MORE_MEGABYTES, f"{warm:.0f} MiB after {WARM:,} calls, {now:.0f} in the end"
        )


async def _answered(
    handler: Any, sent: Sequence[bytes], metadata: tuple[tuple[str, str], ...]
) -> tuple[str, str]:
    """The code that the caller is told, and the details."""
    context = _Context(metadata)
    messages = [handler.request_deserializer(content) for content in sent]
    asked = "stream" if handler.request_streaming else "unary"
    answers = "stream" if handler.response_streaming else "unary"
    behaviour = getattr(handler, f"{asked}_{answers}")
    try:
        reply = await behaviour(_stream(messages) if handler.request_streaming else messages[0], context)
        if reply is not None:
            handler.response_serializer(reply)
    except grpc.aio.AbortError:
        return context.told
    except _Enough:
        return "OK", ""
    except Exception as error:
        # What gRPC itself would make of it.
        return "UNKNOWN", repr(error)
    return "OK", ""


async def _stream(messages: Iterable[Any]) -> AsyncIterator[Any]:
    for message in messages:
        yield message


class _Enough(BaseException):
    """The caller of a stream has seen enough of it."""


class _Context:
    """What a method is given of a call, and what it was ended with."""

    def __init__(self, metadata: tuple[tuple[str, str], ...]) -> None:
        self.told = ("OK", "")
        self._metadata = metadata
        self._answers = 0

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        return self._metadata

    def time_remaining(self) -> float | None:
        return None

    async def send_initial_metadata(self, metadata: object) -> None:
        """Nobody looks at it."""

    async def write(self, reply: object) -> None:
        self._answers += 1
        if self._answers == MOST_ANSWERS:
            raise _Enough

    async def abort(self, code: grpc.StatusCode, details: str = "", trailing_metadata: object = ()) -> Never:
        self.told = (code.name, details)
        raise grpc.aio.AbortError


class _OutOfReach(Transactions[Any]):
    """Over a database that cannot be reached, without the time that it takes to find out."""

    async def run(self, *_: object, **__: object) -> Never:
        raise DatabaseUnavailable

    async def read(self, *_: object, **__: object) -> Never:
        raise DatabaseUnavailable


async def _out_of_reach(*_: object) -> Never:
    raise DatabaseUnavailable


Method = tuple[MethodDescriptor, Any]


class _Methods:
    """Takes what a server is given to answer, guarded as a server has it."""

    def __init__(self, statuses: ErrorStatuses) -> None:
        self._calls = CallInterceptor(statuses)
        self._handlers: dict[str, Any] = {}

    def add_generic_rpc_handlers(self, handlers: object) -> None:
        """The same again, for servers that know no others."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        for name, handler in handlers.items():
            self._handlers[name] = self._calls.wrap(f"/{service}/{name}", handler)

    def of(self, service: ServiceDescriptor) -> list[Method]:
        """Each method with its handler."""
        return [(method, self._handlers[method.name]) for method in service.methods]


def _inventorys() -> list[Method]:
    transactions = _OutOfReach(
        create_engine("postgresql+asyncpg://nobody@127.0.0.1:1/none"), InventoryUnitOfWork
    )
    methods: Any = _Methods(INVENTORY_STATUSES)
    answering = inventory.InventoryServicer(
        transactions, Mutations(transactions, Tasks()), _out_of_reach, _out_of_reach, asyncio.Event()
    )
    inventory.register(methods, answering)
    found: list[Method] = methods.of(inventory_pb2.DESCRIPTOR.services_by_name["InventoryService"])
    return found


def _deliverys(folder: Path) -> list[Method]:
    transactions = _OutOfReach(create_engine("mysql+asyncmy://nobody@127.0.0.1:1/none"), DeliveryUnitOfWork)
    methods: Any = _Methods(DELIVERY_STATUSES)
    answering = delivery.DeliveryServicer(
        transactions,
        Mutations(transactions, Tasks()),
        Settlements(transactions),
        lambda: None,
        FsspecPhotoStore(str(folder / "photos")),
        PillowPhotoReader(),
        asyncio.Event(),
    )
    delivery.register(methods, answering)
    found: list[Method] = methods.of(delivery_pb2.DESCRIPTOR.services_by_name["DeliveryService"])
    return found


CAMPAIGN = Campaign(
    number=23,
    title="Odd requests to every method, in the process",
    promises=(),
    attempt="odd requests in the process",
    short=50_000,
    long=1_000_000,
    run=run,
    with_servers=False,
    contention=("answered INVALID_ARGUMENT", REACHED),
)
