"""Every method of both services is sent requests that are odd in every field, and bytes that are no requests at all."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor
from holdfast.delivery.v1 import delivery_pb2
from holdfast.delivery.v1 import package_pb2 as pb
from holdfast.inventory.v1 import inventory_pb2
from holdfast.ops.v1 import ops_pb2

from chaos.campaign import Campaign, Trial, together
from chaos.observed import Observed, observed_pair
from chaos.random_requests import RandomRequests
from devtools.journey import photo
from tests.support.town import Town, ids

CALLERS = 8
CALL_SECONDS, LONG_CALL_SECONDS = 10.0, 120.0
"""A check of everything may take longer than other calls."""
MOST_ANSWERS = 200
"""After so many answers of a stream its caller has seen enough."""
MORE_MEGABYTES = 200
FAULTS = {
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.DATA_LOSS,
}
"""What no request may lead to while nothing is wrong with the servers."""


async def run(trial: Trial) -> None:
    """Calls of all methods in turn, around things that are there; others that nobody names must stay as they are."""
    async with observed_pair(trial.engine, trial.folder) as (pair, observed):
        town, untouched = Town(pair), _Untouched(Town(pair))
        await town.found()
        await untouched.make()
        before = [(await each.look()).megabytes for each in observed]
        fuzz = _Fuzz(trial, town, RandomRequests(trial.random, await _known(town), photo("fuzz")))
        await together(*(fuzz.go_on() for _ in range(CALLERS)))
        await _still_there(trial, observed, before)
        trial.violations.extend(await untouched.changed())
        trial.violations.extend(await town.findings())
        for each in (town, untouched.town):
            await each.close()


async def _known(town: Town) -> Mapping[str, Sequence[str]]:
    """Ids of stocks, orders, packages and their people, so that some requests get far."""
    skus = [await town.stock(100) for _ in range(3)]
    orders = [await town.order({sku: 1}) for sku in skus]
    packages = [
        await town.create(town.package_request(workflow, order_id))
        for workflow, order_id in zip(pb.Workflow.values()[1:], orders, strict=False)
    ]
    reserved = [f"fuzz-{next(ids)}" for _ in range(3)]
    for reservation_id in reserved:
        await town.reserve(reservation_id, skus[0])
    parties = town.parties
    evidence = await town.journey.upload(packages[0].package_sn, pb.EVIDENCE_KIND_PREPARATION, "merchant")
    return {
        "sku": [*skus, *(f"SKU-{next(ids)}" for _ in skus)],
        "order_id": [*orders, await town.order({skus[0]: 1})],
        "package_sn": [*(package.package_sn for package in packages), *(f"PG{next(ids)}" for _ in packages)],
        "reservation_id": [*reserved, *(f"fuzz-{next(ids)}" for _ in reserved)],
        "etag": ["", "", "", *(package.etag for package in packages)],
        "request_id": ["", *(f"fuzz-{next(ids)}" for _ in range(9))],
        "evidence_id": [evidence],
        "shop_id": [parties.shop_id],
        "warehouse_id": [parties.warehouse_id],
        "driver_id": [parties.driver_id],
        "page_token": [""],
        "path": ["location", "details"],
    }


class _Untouched:
    """A stock, a hold on it and a package that no request names."""

    def __init__(self, town: Town) -> None:
        self.town = town

    async def make(self) -> None:
        """Before anything odd is asked."""
        town = self.town
        await town.found()
        self._sku = await town.stock(7)
        await town.reserve(f"untouched-{next(ids)}", self._sku)
        order_id = await town.order({self._sku: 2})
        made = await town.create(town.package_request(pb.WORKFLOW_MERCHANT_TO_USER, order_id))
        self._package = await town.stock_state(made.package_sn, pb.STOCK_STATE_HELD)

    async def changed(self) -> list[str]:
        """What is not as it was made."""
        levels = await self.town.levels(self._sku)
        package = await self.town.get(self._package.package_sn)
        changed = [] if levels == (7, 3) else [f"a stock that nobody named is {levels}"]
        return changed + ([] if package == self._package else [f"a package that nobody named is {package!r}"])


class _Fuzz:
    def __init__(self, trial: Trial, town: Town, requests: RandomRequests) -> None:
        self._trial = trial
        self._requests = requests
        services = (
            (inventory_pb2.DESCRIPTOR.services_by_name["InventoryService"], town.inventory_channel),
            (delivery_pb2.DESCRIPTOR.services_by_name["DeliveryService"], town.delivery_channel),
            (ops_pb2.DESCRIPTOR.services_by_name["OpsService"], town.inventory_channel),
            (ops_pb2.DESCRIPTOR.services_by_name["OpsService"], town.delivery_channel),
        )
        self._methods = [(method, channel) for service, channel in services for method in service.methods]
        parties = town.parties
        self._ids = {
            "merchant": parties.shop_id,
            "warehouse": parties.warehouse_id,
            "driver": parties.driver_id,
            "dispatcher": "control-room",
            "system": "tests",
        }

    async def go_on(self) -> None:
        """A method after the other."""
        while self._trial.more:
            method, channel = self._methods[self._trial.attempts % len(self._methods)]
            self._trial.attempted()
            await self._call(method, channel)

    async def _call(self, method: MethodDescriptor, channel: grpc.aio.Channel) -> None:
        sent, metadata = self._requests.messages(method), self._requests.metadata(self._ids)
        try:
            await _answers(method, channel, sent, metadata)
        except grpc.aio.AioRpcError as error:
            self._trial.contention[f"answered {error.code().name}"] += 1
            if error.code() in FAULTS:
                content = [message.hex()[:400] for message in sent[:3]]
                said = f"{method.name}: {error.code().name} {error.details()} to {metadata} {content}"
                self._trial.violations.append(said)
        else:
            self._trial.contention["answered OK"] += 1


async def _answers(
    method: MethodDescriptor,
    channel: grpc.aio.Channel,
    sent: Sequence[bytes],
    metadata: tuple[tuple[str, str], ...],
) -> None:
    """Makes the call, and hears its answers."""
    path = f"/{method.containing_service.full_name}/{method.name}"
    asks, answers = (
        "stream" if stream else "unary" for stream in (method.client_streaming, method.server_streaming)
    )
    make: Any = getattr(channel, f"{asks}_{answers}")(path)
    request: Any = _stream(sent) if method.client_streaming else sent[0]
    seconds = LONG_CALL_SECONDS if method.server_streaming else CALL_SECONDS
    call = make(request, metadata=metadata, timeout=seconds)
    if not method.server_streaming:
        await call
        return
    heard = 0
    async for _ in call:
        heard += 1
        if heard == MOST_ANSWERS:
            call.cancel()
            return


async def _stream(messages: Sequence[bytes]) -> AsyncIterator[bytes]:
    for message in messages:
        yield message


async def _still_there(trial: Trial, observed: Sequence[Observed], before: Sequence[float]) -> None:
    for each, megabytes in zip(observed, before, strict=True):
        trial.require(each.process.running, f"{each.process.service} has ended")
        if each.process.running:
            now = (await each.look()).megabytes
            trial.require(
                now < megabytes + MORE_MEGABYTES,
                f"{each.process.service}: {megabytes:.0f} MiB before, {now:.0f} MiB after",
            )


CAMPAIGN = Campaign(
    number=13,
    title="Odd requests to every method",
    promises=(9,),
    attempt="odd requests",
    short=2_000,
    long=50_000,
    run=run,
    contention=("answered OK", "answered INVALID_ARGUMENT", "answered NOT_FOUND"),
    engines=("mysql", "mariadb"),
)
