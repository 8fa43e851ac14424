"""What every Inventory behind the port must do; the fake and the real one are held to the same.

Each function takes an inventory and a maker of stock: `await stock(quantity)` puts so many units of a new sku on the
shelf and answers the sku. Reservation ids are the caller's, so that the suite can run beside others.
"""

from collections.abc import Awaitable, Callable

from delivery_service.application.stock_ports import Done, Inventory, Refused

MakeStock = Callable[[int], Awaitable[str]]
Check = Callable[[Inventory, MakeStock, str], Awaitable[None]]


async def a_hold_is_kept_and_repeating_it_changes_nothing(
    inventory: Inventory, stock: MakeStock, prefix: str
) -> None:
    sku = await stock(3)
    for _ in range(2):
        assert await inventory.reserve(f"{prefix}:1", {sku: 2}, "") == Done()

    hold = await inventory.hold(f"{prefix}:1")
    assert hold is not None
    assert (hold.state, dict(hold.lines)) == ("HELD", {sku: 2})
    assert f"{prefix}:1" in [hold.reservation_id async for hold in inventory.holds()]
    refused = await inventory.reserve(f"{prefix}:2", {sku: 2}, "")
    assert isinstance(refused, Refused)


async def a_shortage_names_every_short_line_and_holds_nothing(
    inventory: Inventory, stock: MakeStock, prefix: str
) -> None:
    short, empty, plenty = await stock(1), await stock(0), await stock(9)

    refused = await inventory.reserve(f"{prefix}:1", {short: 2, empty: 1, plenty: 1}, "")

    assert isinstance(refused, Refused)
    assert refused.reason == "INSUFFICIENT_STOCK"
    lines = {line.sku: (line.quantity, line.available_quantity) for line in refused.shortages}
    assert lines == {short: (2, 1), empty: (1, 0)}
    assert await inventory.hold(f"{prefix}:1") is None


async def two_hundred_short_lines_are_all_named(inventory: Inventory, stock: MakeStock, prefix: str) -> None:
    lines = {await stock(0): 1 for _ in range(200)}

    refused = await inventory.reserve(f"{prefix}:1", lines, "")

    assert isinstance(refused, Refused)
    assert {line.sku: line.quantity for line in refused.shortages} == lines


async def an_unknown_sku_is_refused_by_name(inventory: Inventory, stock: MakeStock, prefix: str) -> None:
    known = await stock(5)

    refused = await inventory.reserve(f"{prefix}:1", {f"{prefix}-none": 1, known: 1}, "")

    assert isinstance(refused, Refused)
    assert refused.reason == "STOCK_NOT_FOUND"
    assert [line.sku for line in refused.shortages] == [f"{prefix}-none"]


async def the_same_id_with_other_lines_is_refused(
    inventory: Inventory, stock: MakeStock, prefix: str
) -> None:
    sku = await stock(9)
    await inventory.reserve(f"{prefix}:1", {sku: 2}, "")

    refused = await inventory.reserve(f"{prefix}:1", {sku: 3}, "")

    assert isinstance(refused, Refused)
    assert refused.reason == "RESERVATION_EXISTS"


async def a_commit_happens_once_and_cannot_be_released(
    inventory: Inventory, stock: MakeStock, prefix: str
) -> None:
    sku = await stock(3)
    await inventory.reserve(f"{prefix}:1", {sku: 2}, "")

    assert [await inventory.commit(f"{prefix}:1", "") for _ in range(2)] == [Done(), Done()]

    hold = await inventory.hold(f"{prefix}:1")
    assert hold is not None
    assert hold.state == "COMMITTED"
    refused = await inventory.release(f"{prefix}:1", "")
    assert isinstance(refused, Refused)
    assert refused.reason == "RESERVATION_ALREADY_RESOLVED"
    assert isinstance(await inventory.reserve(f"{prefix}:2", {sku: 2}, ""), Refused)


async def a_release_gives_back_and_may_be_repeated(
    inventory: Inventory, stock: MakeStock, prefix: str
) -> None:
    sku = await stock(2)
    await inventory.reserve(f"{prefix}:1", {sku: 2}, "")

    assert [await inventory.release(f"{prefix}:1", "") for _ in range(2)] == [Done(), Done()]

    assert await inventory.reserve(f"{prefix}:2", {sku: 2}, "") == Done()
    refused = await inventory.commit(f"{prefix}:1", "")
    assert isinstance(refused, Refused)


async def a_release_before_the_reserve_closes_the_id(
    inventory: Inventory, stock: MakeStock, prefix: str
) -> None:
    sku = await stock(2)

    assert await inventory.release(f"{prefix}:1", "") == Done()

    refused = await inventory.reserve(f"{prefix}:1", {sku: 2}, "")
    assert isinstance(refused, Refused)
    assert refused.reason == "RESERVATION_TOMBSTONED"


async def a_commit_of_what_was_never_held_is_refused(
    inventory: Inventory, stock: MakeStock, prefix: str
) -> None:
    refused = await inventory.commit(f"{prefix}:1", "")

    assert isinstance(refused, Refused)
    assert refused.reason == "RESERVATION_NOT_FOUND"
    assert await inventory.hold(f"{prefix}:1") is None


async def under_an_id_that_no_hold_can_have_there_is_none(
    inventory: Inventory, stock: MakeStock, prefix: str
) -> None:
    assert await inventory.hold(f"{prefix} with blanks") is None
    assert await inventory.hold(prefix * 65) is None


CHECKS: tuple[Check, ...] = (
    a_hold_is_kept_and_repeating_it_changes_nothing,
    a_shortage_names_every_short_line_and_holds_nothing,
    two_hundred_short_lines_are_all_named,
    an_unknown_sku_is_refused_by_name,
    the_same_id_with_other_lines_is_refused,
    a_commit_happens_once_and_cannot_be_released,
    a_release_gives_back_and_may_be_repeated,
    a_release_before_the_reserve_closes_the_id,
    a_commit_of_what_was_never_held_is_refused,
    under_an_id_that_no_hold_can_have_there_is_none,
)
