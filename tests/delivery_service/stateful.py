"""Random histories of packages against the real service and a plain model beside it: every answer is predicted."""

import copy
import dataclasses
import itertools

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.delivery_service.histories import ACTORS, calls, packs, pairs, repeats
from tests.delivery_service.model import CALLED_OFF, PAID, PATHS, Call, Model, Parcel
from tests.delivery_service.records import Records
from tests.delivery_service.world import World

STEPS = ["call"] * 12 + ["two at once"] * 3 + ["repeat"] * 5 + ["pack"] * 3 + ["new order"]
STEPS += ["same request", "cancel the order", "driver", "inventory goes", "inventory comes", "deliveries"]


class Service(RuleBasedStateMachine):
    """Every step calls the service, and the model says what must come of it."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.numbers = itertools.count(1)
        self.actors = itertools.cycle(ACTORS)
        self.now: Parcel | None = None
        self.last: tuple[Call, str] | None = None

    @initialize(data=st.data())
    def open(self, data: st.DataObject) -> None:
        """Nobody but the people, then a first package."""
        self.world.run(self.world.empty())
        self.order(data)

    @rule(data=st.data())
    def step(self, data: st.DataObject) -> None:
        """One of the steps, drawn here: rules are left out for whole histories, which would then say little."""
        parcel = self.now
        assert parcel is not None
        fresh = f"photo {next(self.numbers)}"
        if not parcel.active and data.draw(st.sampled_from([True, False])):
            self.order(data)
            return
        match data.draw(st.sampled_from(STEPS)):
            case "call":
                self.call(data.draw(calls(self.model, parcel, fresh)))
            case "two at once":
                self.call_two_at_once(*data.draw(pairs(self.model, parcel, fresh)))
            case "repeat":
                self.call(data.draw(repeats(parcel, fresh)))
            case "pack":
                self.pack(*data.draw(packs(self.model, parcel.order_id)), parcel.order_id, parcel.sku)
            case "new order":
                self.order(data)
            case "same request" if self.last is not None:
                self.world.run(self.world.replay(*self.last))
            case "cancel the order":
                self.cancel_order(parcel.order_id, by_update=data.draw(st.booleans()))
            case "driver":
                self.switch(data.draw(st.sampled_from(["5", "6", "9"])))
            case "inventory goes":
                self.model.down = self.world.inventory.down = True
            case "inventory comes":
                self.world.run(self.world.inventory_is_back())
                self.model.down = False
            case "deliveries" if self.model.empty:
                self.model.empty.clear()
                self.world.inventory.stock["EMPTY"] += 1000

    def order(self, data: st.DataObject) -> None:
        """A new order and its package."""
        order_id = str(1000 + next(self.numbers))
        sku = data.draw(st.sampled_from(["A", "A", "A", "EMPTY"]))
        self.model.register(order_id)
        self.world.run(self.world.register(order_id, sku))
        # The plainest history goes through all workflows in turn.
        first = len(self.model.order_status) % len(PATHS)
        workflows = [*PATHS][first:] + [*PATHS][:first]
        self.pack(data.draw(st.sampled_from(workflows)), 0, order_id, sku)

    def pack(self, workflow: str, leg: int, order_id: str, sku: str) -> None:
        """A package of the whole order, by the shop or, for the second leg, by the warehouse."""
        stock = "NOT_TRACKED" if leg else "REQUESTED"
        parcel = Parcel(f"P{next(self.numbers)}", workflow, leg, order_id, sku, stock)
        by = ("WAREHOUSE", "3") if leg else ("MERCHANT", "7")
        broken = self.model.pack(parcel, *by)
        reason = self.world.run(self.world.create(parcel, *by))
        assert reason in (broken or {"OK"}), f"{parcel} came to {reason}, expected {broken}"
        if not broken:
            self.now = parcel
            self.last = None

    def call(self, call: Call) -> None:
        """Makes a call and compares what came of it."""
        request_id = f"q{next(self.numbers)}"
        broken = self.model.apply(call)
        state = self.model.parcels[call.package_sn].state
        reason, seen = self.world.run(self.world.perform(call, request_id))
        assert reason in (broken or {"OK"}), f"{call} came to {reason}, expected {broken}"
        if not broken:
            assert seen == state
            self.last = (call, request_id)
            self.compare_rights(call.package_sn)
        if not broken and call.photos:
            # The same step with other evidence is no repeat.
            self.call(dataclasses.replace(call, photos=(), version=0))

    def call_two_at_once(self, *pair: Call) -> None:
        """Two calls at once come to the same as one after the other; inventory answers between them or after."""
        self.settle()
        outcomes = self.world.run(self.world.at_once(pair))
        if not self.model.down:
            self.world.run(self.world.quiet())
        order_id = self.model.parcels[pair[0].package_sn].order_id
        seen = self.world.run(self.world.stored(order_id))
        told = []
        for order, pause in itertools.product(((0, 1), (1, 0)), (False, True)):
            model = copy.deepcopy(self.model)
            expected: dict[int, set[str]] = {}
            for index in order:
                expected[index] = model.apply(pair[index]) or {"OK"}
                if pause:
                    model.settle()
            model.settle()
            fits = all(outcomes[index] in expected[index] for index in order)
            if fits and seen == Records.expected(model, order_id):
                self.model = model
                assert self.now is not None
                self.now, self.last = model.parcels[self.now.package_sn], None
                return
            told.append((expected, Records.expected(model, order_id)))
        raise AssertionError(f"{pair} came to {outcomes}, {seen}; one after the other: {told}")

    def cancel_order(self, order_id: str, *, by_update: bool) -> None:
        """The order system says so, until goods have left; or the old application writes so, whenever."""
        if by_update or self.model.order_status[order_id] == PAID:
            self.model.order_status[order_id] = CALLED_OFF
        assert self.now is not None
        self.world.run(self.world.cancel_order(order_id, self.now.sku, by_update=by_update))

    def switch(self, driver_id: str) -> None:
        """A driver becomes active, or inactive."""
        self.model.active_drivers ^= {driver_id}
        self.world.run(self.world.set_active(driver_id, driver_id in self.model.active_drivers))

    def compare_rights(self, package_sn: str) -> None:
        """What some of the actors may do now is what the service says that they may; others come next time."""
        self.settle()
        for role, actor_id in itertools.islice(self.actors, 3):
            allowed = self.world.run(self.world.allowed(package_sn, role, actor_id))
            assert allowed == self.model.allowed(package_sn, role, actor_id)

    def settle(self) -> None:
        """Waits for inventory, where it can be asked."""
        if self.model.waits:
            self.world.run(self.world.quiet())
            self.model.settle()

    @invariant()
    def agree(self) -> None:
        """What anybody reads, old readers included, is what the model has."""
        if self.now is None:
            return
        self.settle()
        order_id = self.now.order_id
        assert self.world.run(self.world.stored(order_id)) == Records.expected(self.model, order_id)
        if not self.model.down:
            self.compare_shelves()

    def compare_shelves(self) -> None:
        """Every package that is HELD has its units, and units that were taken are gone once."""
        for sku in ("A", "EMPTY"):
            stocks = [parcel.stock for parcel in self.model.parcels.values() if parcel.sku == sku]
            shelf = 0 if sku in self.model.empty else 1000
            left = shelf - 2 * stocks.count("COMMITTED")
            assert self.world.shelf(sku) == (left, 2 * stocks.count("HELD"))

    def teardown(self) -> None:
        """In the end callers read what the tables have, and all records agree with each other."""
        self.world.run(self.world.inventory_is_back())
        self.model.down = False
        self.model.settle()
        for order_id in self.model.order_status:
            expected = Records.expected(self.model, order_id)
            assert self.world.run(self.world.read(order_id)) == (expected.packages, expected.timelines)
        assert self.world.run(self.world.servers[0].findings()) == []
