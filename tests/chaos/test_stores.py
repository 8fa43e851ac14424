"""The simulator's stores and its wire, held to the contracts of the real ones."""

import itertools

import grpc
import pytest

from chaos.simulator.clock import Clock
from chaos.simulator.inventory import VERBS, SimulatedInventory
from chaos.simulator.network import Request, Wire
from chaos.simulator.parcels import Parcels, ParcelsUnitOfWork
from chaos.simulator.shelves import Shelves, ShelvesUnitOfWork
from chaos.simulator.transactions import SimulatedTransactions
from delivery_service.gateways.inventory import InventoryGateway
from tests.delivery_service import inventory_contract, store_contract
from tests.inventory_service import books_contract

numbers = itertools.count(1, 10)


class Waiting(Clock):
    """A clock that is waited for as for a real one."""

    async def sleep(self, seconds: float) -> None:
        self.wait(seconds)


@pytest.mark.parametrize("check", store_contract.CHECKS)
async def test_deliverys_store_keeps_the_contract(check: store_contract.Check) -> None:
    clock = Waiting()

    await check(SimulatedTransactions(Parcels(), ParcelsUnitOfWork, clock), clock.sleep, next(numbers))


@pytest.mark.parametrize("check", books_contract.CHECKS)
async def test_inventorys_store_keeps_the_contract(check: books_contract.Check) -> None:
    clock = Waiting()
    shelves = Shelves()
    shelves.put("A", 10)

    await check(SimulatedTransactions(shelves, ShelvesUnitOfWork, clock), clock.sleep, "A")


@pytest.mark.parametrize("check", inventory_contract.CHECKS)
def test_inventory_behind_the_wire_keeps_the_contract(check: inventory_contract.Check) -> None:
    shelves = Shelves()
    inventory = SimulatedInventory(SimulatedTransactions(shelves, ShelvesUnitOfWork, Clock()))

    async def stock(quantity: int) -> str:
        sku = f"SKU-{next(numbers)}"
        inventory.transactions.state.put(sku, quantity)
        return sku

    wire: grpc.aio.Channel = Wire()  # type: ignore[assignment]
    work = check(InventoryGateway(wire), stock, f"R{next(numbers)}")
    reply: object = None
    while True:
        try:
            request = work.throw(reply) if isinstance(reply, Exception) else work.send(reply)  # type: ignore[attr-defined]
        except StopIteration:
            return
        reply = None
        if isinstance(request, Request):
            [reply] = inventory.decide([request]) if request.method in VERBS else [inventory.read(request)]
