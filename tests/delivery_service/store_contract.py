"""What every store of delivery's must do, be it a database or the simulator's memory.

Each function takes a runner of transactions, a way to let time pass, and a number of its own, so that the suite can
run beside others upon one store.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from delivery_service.application.stock_ports import Lease, NewCommand, Task
from delivery_service.domain.errors import EvidenceAlreadyUsed, OrderAlreadyPacked
from delivery_service.domain.evidence import Evidence
from delivery_service.domain.package import Package
from delivery_service.domain.package_event import PackageEvent
from delivery_service.domain.reservation import StockCommand
from delivery_service.domain.workflow import ActorRole, EvidenceKind, PackageState, StockState, Verb
from tests.delivery_service.domain.builders import NOW, a_package, a_photo, owner

Wait = Callable[[float], Awaitable[None]]
Check = Callable[[Any, Wait, int], Awaitable[None]]
RESERVE, COMMIT, RELEASE = StockCommand


async def stored(transactions: Any, number: int, **fields: Any) -> Package:
    """A new package in the store."""
    given = {"package_sn": f"PG{number}", "order_ids": (number,), "reservation_id": f"PG{number}:1"}
    added = await transactions.run(lambda uow: uow.packing.add(a_package(**given | fields)))
    assert isinstance(added, Package)
    return added


async def put(transactions: Any, package: Package, command: StockCommand) -> None:
    """Puts a command in, as a use case does: under the package's lock."""

    async def add(uow: Any) -> None:
        await uow.packages.lock(package.package_sn)
        await uow.outbox.add([NewCommand(package, command, "")])

    await transactions.run(add)


async def claim(transactions: Any, lease_seconds: float = 30) -> list[Task]:
    """Claims what is due."""
    tasks: list[Task] = await transactions.run(lambda uow: uow.outbox.claim(10, lease_seconds))
    return tasks


async def done(transactions: Any, tasks: list[Task]) -> set[Lease]:
    """Closes those whose lease is good still; answers these leases."""

    async def close(uow: Any) -> set[Lease]:
        leases: set[Lease] = await uow.outbox.lock_leased(tasks)
        await uow.outbox.done([task for task in tasks if task.lease in leases])
        return leases

    leases: set[Lease] = await transactions.run(close)
    return leases


async def a_packages_second_command_waits_for_its_first(transactions: Any, wait: Wait, number: int) -> None:
    package, other = await stored(transactions, number), await stored(transactions, number + 1)
    for command in (RESERVE, COMMIT):
        await put(transactions, package, command)
    await put(transactions, other, RESERVE)

    first = await claim(transactions)
    assert [(task.package_sn, task.command) for task in first] == [
        (package.package_sn, RESERVE),
        (other.package_sn, RESERVE),
    ]
    assert await claim(transactions) == []
    assert await done(transactions, first[:1]) == {first[0].lease}

    (second,) = await claim(transactions)
    assert (second.package_sn, second.command) == (package.package_sn, COMMIT)
    ids = [package.package_id, other.package_id]
    assert await transactions.run(lambda uow: uow.outbox.unfinished(ids)) == set(ids)
    assert await done(transactions, [second, first[1]]) == {second.lease, first[1].lease}
    assert await transactions.run(lambda uow: uow.outbox.unfinished(ids)) == set()


async def a_command_says_what_inventory_needs(transactions: Any, wait: Wait, number: int) -> None:
    package = await stored(transactions, number)
    await put(transactions, package, RESERVE)

    (task,) = await claim(transactions)

    assert (task.reservation_id, task.lines, task.attempts) == (package.reservation_id, {"A": 2}, 1)


async def an_entry_put_back_is_due_again_only_after_its_pause(
    transactions: Any, wait: Wait, number: int
) -> None:
    await put(transactions, await stored(transactions, number), RESERVE)
    (task,) = await claim(transactions)

    await transactions.run(lambda uow: uow.outbox.try_later([(task, "away", 0.3)]))
    assert await claim(transactions) == []
    await wait(0.35)

    (again,) = await claim(transactions)
    assert (again.entry_id, again.attempts) == (task.entry_id, 2)


async def a_parked_command_blocks_its_own_package_only(transactions: Any, wait: Wait, number: int) -> None:
    package = await stored(transactions, number)
    await put(transactions, package, COMMIT)
    (task,) = await claim(transactions)
    await transactions.run(lambda uow: uow.outbox.park([(task, "refused")]))

    await put(transactions, package, RELEASE)
    await put(transactions, await stored(transactions, number + 1), RESERVE)

    assert [task.command for task in await claim(transactions)] == [RESERVE]


async def an_answer_under_a_lease_that_was_taken_over_is_not_recorded(
    transactions: Any, wait: Wait, number: int
) -> None:
    await put(transactions, await stored(transactions, number), RESERVE)
    (slow,) = await claim(transactions, lease_seconds=0.1)
    assert await transactions.run(lambda uow: uow.outbox.take_over(10)) == 0
    await wait(0.15)

    assert await transactions.run(lambda uow: uow.outbox.take_over(10)) == 1
    (fresh,) = await claim(transactions)

    assert await done(transactions, [slow]) == set()
    assert await done(transactions, [slow, fresh]) == {fresh.lease}


async def a_release_closes_a_reserve_that_was_not_answered(
    transactions: Any, wait: Wait, number: int
) -> None:
    package = await stored(transactions, number)
    await put(transactions, package, RESERVE)
    (in_flight,) = await claim(transactions)

    await put(transactions, replace(package, state=PackageState.CANCELLED), RELEASE)

    assert await done(transactions, [in_flight]) == set()
    (release,) = await claim(transactions)
    assert release.command is RELEASE


async def a_number_and_an_orders_leg_are_taken_once(transactions: Any, wait: Wait, number: int) -> None:
    package = await stored(transactions, number)
    again = replace(package, package_id=0, order_ids=(number + 1,))
    other = replace(package, package_id=0, package_sn=f"PG{number}-2", reservation_id=f"PG{number}-2:1")

    assert await transactions.run(lambda uow: uow.packing.add(again)) is None
    with pytest.raises(OrderAlreadyPacked):
        await transactions.run(lambda uow: uow.packing.add(other))

    assert await transactions.read(lambda uow: uow.packages.get(other.package_sn)) is None
    assert await transactions.read(lambda uow: uow.packages.get(package.package_sn)) == package


async def what_is_saved_is_read_again(transactions: Any, wait: Wait, number: int) -> None:
    package = await stored(transactions, number, stock_state=StockState.REQUESTED)
    held = replace(package, stock_state=StockState.HELD, version=2)
    prepared = replace(held, state=PackageState.PREPARED, version=3)

    await transactions.run(lambda uow: uow.packages.save_stock([held]))
    await transactions.run(lambda uow: uow.packages.save(prepared))

    locked = await transactions.run(lambda uow: uow.packages.lock_free([package.package_sn, "PG none"]))
    assert locked == {package.package_sn: prepared}
    assert await transactions.read(lambda uow: uow.packages.order_ids(package.package_sn)) == (number,)
    [seen] = await transactions.read(lambda uow: uow.packages.of_orders([number]))
    assert (seen.package_sn, seen.state) == (package.package_sn, PackageState.PREPARED)
    item = package.items[0].order_item_id
    assert await transactions.read(lambda uow: uow.packages.units_in([package.package_id])) == {item: 2}


async def a_timeline_ends_with_what_was_added_last(transactions: Any, wait: Wait, number: int) -> None:
    package = await stored(transactions, number)
    created = PackageEvent(
        1, Verb.CREATE, None, PackageState.PENDING, owner(ActorRole.MERCHANT), None, (), "", NOW
    )
    cancelled = replace(
        created,
        sequence=2,
        verb=Verb.CANCEL,
        from_state=PackageState.PENDING,
        to_state=PackageState.CANCELLED,
    )

    assert await transactions.read(lambda uow: uow.events.last(package.package_id)) is None
    for event in (created, cancelled):
        await transactions.run(lambda uow, event=event: uow.events.add(package.package_id, event))

    assert await transactions.read(lambda uow: uow.events.last(package.package_id)) == cancelled


async def a_photo_proves_one_step(transactions: Any, wait: Wait, number: int) -> None:
    package = await stored(transactions, number)
    photo = a_photo(
        EvidenceKind.PREPARATION,
        package_sn=package.package_sn,
        evidence_id=f"{number}",
        sha256=f"{number:064}",
    )
    kept: Evidence = await transactions.run(lambda uow: uow.evidence.add(package.package_id, photo))

    await transactions.run(lambda uow: uow.evidence.use([kept], 1))

    [used] = await transactions.read(lambda uow: uow.evidence.list_by_ids([kept.evidence_id, "none"]))
    assert used == replace(kept, used=True)
    with pytest.raises(EvidenceAlreadyUsed):
        await transactions.run(lambda uow: uow.evidence.use([kept], 2))


CHECKS: tuple[Check, ...] = (
    a_packages_second_command_waits_for_its_first,
    a_command_says_what_inventory_needs,
    an_entry_put_back_is_due_again_only_after_its_pause,
    a_parked_command_blocks_its_own_package_only,
    an_answer_under_a_lease_that_was_taken_over_is_not_recorded,
    a_release_closes_a_reserve_that_was_not_answered,
    a_number_and_an_orders_leg_are_taken_once,
    what_is_saved_is_read_again,
    a_timeline_ends_with_what_was_added_last,
    a_photo_proves_one_step,
)
