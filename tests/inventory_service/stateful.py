"""Random histories against the real service and a plain model beside it: every answer is predicted.

Time passes by moving a hold's expire_time into the past in the database, whose clock decides.
"""

import asyncio
import copy
import itertools
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import Any

import grpc
from google.protobuf.message import Message
from holdfast.inventory.v1 import movement_pb2, reports_pb2, reservation_pb2, stock_pb2
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import delete

from inventory_service.application.count_movements import count_movements
from inventory_service.application.expire_due_reservations import expire_due_reservations
from inventory_service.persistence.tables import metadata
from inventory_service.persistence.unit_of_work import SqlUnitOfWork
from servicekit.persistence.engines import create_engine
from servicekit.persistence.transactions import Transactions
from servicekit.schema.migrations import Schema
from tests.inventory_service.client import Inventory, refused
from tests.inventory_service.histories import SKUS, caller_metadata, calls, pairs
from tests.inventory_service.history import BY_SKU
from tests.inventory_service.model import Books, Call, Outcome, listing_key, word
from tests.inventory_service.model_etags import Etags
from tests.inventory_service.serving import ASLEEP, channel_to
from tests.support.databases import fresh_database

OPENING = {"A": 30, "B": 12, "C": 6}
STEPS = ["call"] * 6 + ["two at once"] * 3 + ["time passes"] * 3 + ["repeat", "sweep"]


class World:
    """Two servers on one database, whose workers sleep. Their loop runs only while a step waits for it."""

    def __init__(self, runner: asyncio.Runner, stack: AsyncExitStack) -> None:
        self.run = runner.run
        self.pair = runner.run(_two_servers(stack))
        self.transactions = Transactions(self.pair[0].engine, SqlUnitOfWork)
        self.etags = Etags()

    async def empty(self) -> None:
        """Forgets everything."""
        self.etags = Etags()
        async with self.pair[0].engine.begin() as connection:
            for table in reversed(metadata.sorted_tables):
                await connection.execute(delete(table))

    async def perform(self, call: Call, server: int = 0) -> tuple[Outcome, Message | None, bool]:
        """What came of a call, its answer, and whether that is of an earlier one."""
        method = getattr(self.pair[server].stub, call.method)
        sent = method(self.etags.sent(call.request), metadata=caller_metadata(call), timeout=10)
        try:
            answer = await sent
        except grpc.aio.AioRpcError as error:
            refusal = await refused(_raised(error))
            return Outcome(refusal.reason, dict(refusal.metadata)), None, False
        replayed = ("idempotent-replayed", "true") in tuple(await sent.initial_metadata())
        return Outcome("OK", self.seen(answer)), answer, replayed

    async def at_once(self, first: Call, second: Call) -> list[Outcome]:
        """What came of two calls at the same time, each on its own server."""
        done = await asyncio.gather(self.perform(first, 0), self.perform(second, 1))
        return [outcome for outcome, _, _ in done]

    async def state(self) -> tuple[Any, ...]:
        """Stocks, their listings, reservations and movements, as callers read them."""
        stub = self.pair[0].stub
        stocks = (await stub.BatchGetStocks(stock_pb2.BatchGetStocksRequest(skus=SKUS), timeout=10)).stocks
        reservations = await stub.ListReservations(
            reservation_pb2.ListReservationsRequest(page_size=1000), timeout=10
        )
        movements = await stub.ListMovements(movement_pb2.ListMovementsRequest(page_size=1000), timeout=10)
        return (
            {stock.sku: self.seen_stock(stock) for stock in stocks},
            {stock.sku: listings(stock) for stock in stocks},
            {found.reservation_id: seen_reservation(found) for found in reservations.reservations},
            Counter((found.sku, found.delta, word(found, "reason")) for found in movements.movements),
        )

    def seen(self, answer: Any) -> Any:
        """What is compared of an answer."""
        if hasattr(answer, "reservation"):
            return seen_reservation(answer.reservation)
        return self.seen_stock(answer.stock) if hasattr(answer, "stock") else None

    def seen_stock(self, stock: stock_pb2.Stock) -> tuple[Any, ...]:
        """A stock in the model's words."""
        numbers = (stock.quantity, stock.reserved_quantity, stock.available_quantity)
        return (stock.sku, word(stock, "status"), *numbers, self.etags.seen(stock))

    async def facts(self) -> dict[str, int]:
        """What the daily facts say that each stock gained in all."""
        while (await self.transactions.run(lambda uow: count_movements(100, uow))).counted:
            pass
        request = reports_pb2.ListDailyFactsRequest(grouping=BY_SKU, page_size=1000)
        gained: Counter[str] = Counter()
        for fact in (await self.pair[0].stub.ListDailyFacts(request, timeout=10)).facts:
            gained[fact.sku] += fact.received_quantity - fact.sold_quantity
            gained[fact.sku] += fact.returned_quantity + fact.adjusted_quantity
        return dict(gained)


class Service(RuleBasedStateMachine):
    """Every step calls the service, and the model says what must come of it."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        self.books = Books()
        self.numbers = itertools.count(1)
        self.answered: list[tuple[Call, Message]] = []

    @initialize()
    def open(self) -> None:
        """Empty books, then three stocks; the fourth may come later."""
        self.world.run(self.world.empty())
        for sku, quantity in OPENING.items():
            self.call(Call("CreateStock", stock_pb2.CreateStockRequest(sku=sku, quantity=quantity)))

    @rule(data=st.data())
    def step(self, data: st.DataObject) -> None:
        """One of the steps, drawn here: rules are left out for whole histories, which would then say little."""
        match data.draw(st.sampled_from(STEPS)):
            case "call":
                self.call(data.draw(calls(self.books)))
            case "two at once":
                self.call_two_at_once(*data.draw(pairs(self.books)))
            case "time passes":
                if timed := [key for key, hold in self.books.holds.items() if hold.can_become_due]:
                    self.let_time_pass(data.draw(st.sampled_from(timed)))
            case "repeat":
                self.repeat(*data.draw(st.sampled_from(self.answered)))
            case "sweep":
                self.sweep()

    def call(self, call: Call) -> None:
        """Makes a call and compares what came of it."""
        self.numbered(call)
        expected = self.books.apply(call)
        outcome, answer, replayed = self.world.run(self.world.perform(call))
        assert outcome.fits(expected), f"{call} came to {outcome}, expected {expected}"
        assert not replayed
        if answer is not None:
            self.answered.append((call, answer))

    def call_two_at_once(self, *pair: Call) -> None:
        """Two calls at once come to the same as one after the other, in one of both orders."""
        for call in pair:
            self.numbered(call)
        outcomes = self.world.run(self.world.at_once(*pair))
        state = self.world.run(self.world.state())
        told = []
        for order in ((0, 1), (1, 0)):
            books = copy.deepcopy(self.books)
            expected = {index: books.apply(pair[index]) for index in order}
            if all(outcomes[index].fits(expected[index]) for index in order) and state == state_of(books):
                self.books = books
                return
            told.append(expected)
        raise AssertionError(f"{pair} came to {outcomes}, {state}; one after the other: {told}")

    def repeat(self, call: Call, answer: Message) -> None:
        """A request sent again answers the same and does nothing; with other content it is refused."""
        outcome, again, replayed = self.world.run(self.world.perform(call, server=1))
        assert (outcome.reason, again, replayed) == ("OK", answer, True)
        other = type(call.request)()
        other.CopyFrom(call.request)
        name = "reservation_id" if hasattr(other, "reservation_id") else "sku"
        setattr(other, name, f"{getattr(other, name)}-other")
        outcome, _, _ = self.world.run(self.world.perform(Call(call.method, other, call.caller)))
        assert outcome.reason == "REQUEST_ID_REUSED"

    def let_time_pass(self, reservation_id: str) -> None:
        """The time of a hold comes."""
        self.world.run(self.world.pair[0].let_expire(reservation_id))
        self.books.holds[reservation_id].due = True

    def sweep(self) -> None:
        """The sweeper comes by."""
        self.world.run(self.world.transactions.run(lambda uow: expire_due_reservations(100, uow)))
        self.books.sweep()

    def numbered(self, call: Call) -> None:
        """Gives the call a request_id of its own."""
        call.request.request_id = f"q{next(self.numbers)}"

    @invariant()
    def agree(self) -> None:
        """What callers read is what the model has: also open holds and movements, which prove the numbers."""
        if not self.books.shelves and not self.books.holds:
            return
        assert self.world.run(self.world.state()) == state_of(self.books)

    def teardown(self) -> None:
        """In the end history, counted, says how each stock came to its quantity, and the books are sound."""
        gained: Counter[str] = Counter()
        for (sku, delta, _), times in self.books.movements.items():
            gained[sku] += delta * times
        assert self.world.run(self.world.facts()) == dict(gained)
        for sku, shelf in self.books.shelves.items():
            assert shelf.quantity == gained[sku]
        assert self.world.run(self.world.pair[0].findings()) == []


def state_of(books: Books) -> tuple[Any, ...]:
    """What callers must read of the model's books."""
    return (
        {sku: books.stock(sku) for sku in books.shelves},
        {sku: shelf.listings for sku, shelf in books.shelves.items()},
        {reservation_id: books.reservation(reservation_id) for reservation_id in books.holds},
        books.movements,
    )


def listings(stock: stock_pb2.Stock) -> dict[tuple[str, str], bool]:
    """Whether each offer is open."""
    return {listing_key(offer): word(offer, "status") == "ACTIVE" for offer in stock.listings}


def seen_reservation(found: reservation_pb2.Reservation) -> tuple[Any, ...]:
    """A reservation in the model's words."""
    lines = tuple((line.sku, line.quantity, line.committed_quantity) for line in found.lines)
    state = word(found, "state")
    return (found.reservation_id, found.holder, state, lines, found.tombstone, found.created_by, found.etag)


async def _raised(error: grpc.aio.AioRpcError) -> None:
    raise error


async def _two_servers(stack: AsyncExitStack) -> list[Inventory]:
    url = await stack.enter_async_context(fresh_database("postgres"))
    engine = create_engine(url, pool_size=2, for_migrations=True)
    stack.push_async_callback(engine.dispose)
    await Schema("inventory").upgrade(engine)
    channels = []
    for _ in range(2):
        _, channel = await stack.enter_async_context(channel_to(url, **ASLEEP))
        channels.append(channel)
    # Every worker looks once at the start; its transaction must not stand still between two steps.
    await asyncio.sleep(1)
    return [Inventory(channel, engine) for channel in channels]


@contextmanager
def a_world() -> Iterator[World]:
    """Such servers, until the end."""
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        stack = AsyncExitStack()
        try:
            yield World(runner, stack)
        finally:
            runner.run(stack.aclose())
