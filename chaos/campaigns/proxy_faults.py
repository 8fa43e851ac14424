"""A link that is slow, silent, reset, open in one direction or cut in the middle, while packages are made over it."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

import grpc
from google.protobuf.message import Message
from holdfast.delivery.v1 import delivery_pb2_grpc
from holdfast.delivery.v1 import package_pb2 as pb

from chaos.campaign import Campaign, Trial
from chaos.packages import STUCK_SECONDS, require_settled
from tests.support.databases import fresh_database
from tests.support.proxy import Proxy, proxy_to, proxy_to_database
from tests.support.services import Pair, migrate
from tests.support.town import TO_BE_REPEATED, Town, ids

CUSTOMERS = 4
DEADLINE_SECONDS = 3.0
LATE_SECONDS = 0.25
"""How long after its deadline a call may end, by a clock that rings in the same loop: it is as late as the machine."""
FAULT_SECONDS, CALM_SECONDS = 3.0, 0.5
OUTAGE_SECONDS = 30.0
FLEETING = 120
"""So many faults are over soon; those after them, one of every kind on every link, are outages."""
UNITS = 1_000_000
_HAS_HAD_STOCK = (pb.STOCK_STATE_HELD, pb.STOCK_STATE_RELEASED)
"""Of a package of which inventory has answered: its reserve, or its release where its customer has cancelled since."""


def _slow(proxy: Proxy) -> None:
    proxy.delay_seconds = 0.2


def _reset(proxy: Proxy) -> None:
    proxy.cut()


def _half_open(proxy: Proxy) -> None:
    proxy.swallow_requests = True


def _answers_lost(proxy: Proxy) -> None:
    proxy.swallow_replies = True


def _cut_in_the_middle(proxy: Proxy) -> None:
    proxy.bytes_left = 700


FAULTS: Mapping[str, Callable[[Proxy], None]] = {
    "latency": _slow,
    "black hole": Proxy.hold,
    "reset": _reset,
    "half-open": _half_open,
    "cut after 700 bytes": _cut_in_the_middle,
    "answers dropped": _answers_lost,
}


async def run(trial: Trial) -> None:
    """Each fault on each link in turn; customers repeat what they are not told, and nothing is lost or doubled."""
    async with _proxied(trial) as (pair, links):
        town = Town(pair)
        await town.found()
        customers = _Customers(trial, town, links["callers"].address, await town.stock(UNITS))
        async with asyncio.TaskGroup() as at_once:
            for made_one in customers.made_one:
                at_once.create_task(customers.work(made_one))
            for link, fault in itertools.cycle(_shuffled(trial, links)):
                if not trial.more:
                    break
                FAULTS[fault](links[link])
                await asyncio.sleep(FAULT_SECONDS if trial.attempts < FLEETING else OUTAGE_SECONDS)
                links[link].heal()
                trial.faults[f"{fault} ({link})"] += 1
                trial.recoveries.append(await customers.seconds_until_held())
                trial.attempted()
                await asyncio.sleep(CALM_SECONDS)
            customers.over = True
        await customers.check()
        trial.violations.extend(await town.findings())
        await town.close()


def _shuffled(trial: Trial, links: Mapping[str, Proxy]) -> list[tuple[str, str]]:
    """Every fault on every link: a run of fewer attempts tries some of them, another seed others."""
    pairs = list(itertools.product(links, FAULTS))
    trial.random.shuffle(pairs)
    return pairs


@asynccontextmanager
async def _proxied(trial: Trial) -> AsyncIterator[tuple[Pair, Mapping[str, Proxy]]]:
    """A pair of which every link goes through a proxy."""
    async with (
        fresh_database("postgres") as inventory_url,
        fresh_database(trial.engine) as delivery_url,
        proxy_to_database(inventory_url) as (through_inventory_url, inventory_database),
        proxy_to_database(delivery_url) as (through_delivery_url, delivery_database),
    ):
        await asyncio.gather(migrate("inventory", inventory_url), migrate("delivery", delivery_url))
        pair = Pair(through_inventory_url, through_delivery_url, trial.folder)
        async with (
            proxy_to(pair.inventory.address) as inventory,
            proxy_to(pair.delivery.address) as delivery,
        ):
            pair.delivery.environment["DELIVERY_INVENTORY_ADDRESS"] = inventory.address
            try:
                await pair.start()
                yield (
                    pair,
                    {
                        "callers": delivery,
                        "delivery to inventory": inventory,
                        "delivery to its database": delivery_database,
                        "inventory to its database": inventory_database,
                    },
                )
            finally:
                await pair.kill()


class _Customers:
    """They make packages and cancel some, over a link of their own, and remember what they were told."""

    def __init__(self, trial: Trial, town: Town, address: str, sku: str) -> None:
        self.over = False
        self.made_one = [asyncio.Event() for _ in range(CUSTOMERS)]
        """Of each customer: whether it has made a package since the last fault."""
        self._trial = trial
        self._town = town
        self._address = address
        self._sku = sku
        self._made: list[str] = []
        self._cancelled: list[str] = []

    async def work(self, made_one: asyncio.Event) -> None:
        """One customer's package after package, until it is over."""
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_reconnect_backoff_ms", 1_000)]
        async with grpc.aio.insecure_channel(self._address, options=options) as channel:
            stub = delivery_pb2_grpc.DeliveryServiceStub(channel)
            while not self.over:
                order_id = await self._town.insist(self._town.order, {self._sku: 1}, str(next(ids)))
                wish = self._town.package_request(pb.WORKFLOW_MERCHANT_TO_USER, order_id)
                wish.request_id = f"create-{wish.package_sn}"
                await self._insist(stub.CreatePackage, wish)
                self._made.append(wish.package_sn)
                made_one.set()
                if self._trial.random.random() < 0.3:
                    await self._insist(
                        stub.CancelPackage,
                        pb.CancelPackageRequest(
                            package_sn=wish.package_sn,
                            reason="changed their mind",
                            request_id=f"cancel-{wish.package_sn}",
                        ),
                    )
                    self._cancelled.append(wish.package_sn)

    async def seconds_until_held(self) -> float:
        """How long it takes until each customer has made one more package, and the last of these has its stock, or had.

        Every link has a part in that, and nobody is left to wait through the next fault as well.
        """
        began = time.monotonic()
        for made_one in self.made_one:
            made_one.clear()
        async with asyncio.timeout(STUCK_SECONDS):
            await asyncio.gather(*(made_one.wait() for made_one in self.made_one))
        await self._town.stock_state(self._made[-1], *_HAS_HAD_STOCK)
        return time.monotonic() - began

    async def check(self) -> None:
        """Every package is there, with the stock that it should have."""
        self._trial.contention["packages made"] = len(self._made)
        self._trial.contention["packages cancelled"] = len(self._cancelled)
        wanted = dict.fromkeys(self._made, pb.STOCK_STATE_HELD)
        wanted |= dict.fromkeys(self._cancelled, pb.STOCK_STATE_RELEASED)
        await require_settled(self._trial, self._town, wanted)
        left = await self._town.levels(self._sku)
        held = len(self._made) - len(self._cancelled)
        self._trial.require(left == (UNITS, held), f"{held} units should be held, the stock says {left}")

    async def _insist(self, method: Callable[..., Awaitable[object]], request: Message) -> None:
        """Asks until it is answered, for a minute. Raises what it is told for certain."""
        merchant = self._town.parties.metadata("merchant")
        until = time.monotonic() + STUCK_SECONDS
        answered = False
        while not answered:
            over: list[float] = []
            alarm = asyncio.get_running_loop().call_later(DEADLINE_SECONDS, _note, over)
            try:
                await method(request, metadata=merchant, timeout=DEADLINE_SECONDS)
                answered = True
            except grpc.aio.AioRpcError as error:
                if error.code() not in TO_BE_REPEATED or time.monotonic() > until:
                    self._trial.violations.append(f"{error.code().name} {error.details()}")
                    raise
                self._trial.contention["calls repeated"] += 1
            alarm.cancel()
            late = time.monotonic() - over[0] if over else 0.0
            self._trial.require(late <= LATE_SECONDS, f"a call ended {late:.2f} s after its deadline")
            await asyncio.sleep(0 if answered else 0.05)


def _note(moments: list[float]) -> None:
    moments.append(time.monotonic())


CAMPAIGN = Campaign(
    number=8,
    title=f"Faults of the links, {FAULT_SECONDS:.0f} s each, then of {OUTAGE_SECONDS:.0f} s",
    promises=(4, 5, 8, 11),
    attempt="faults of a link",
    short=24,
    long=FLEETING + 24,
    run=run,
    contention=("packages made", "packages cancelled", "calls repeated"),
    engines=("mysql", "mariadb"),
    slowest_recovery=10.0,
)
