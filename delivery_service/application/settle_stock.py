"""The relay's first steps: take due commands on lease, send inventory one of them.

Taking is a transaction of its own; no call is made inside one. `record_answers` writes down what inventory said.
"""

from collections.abc import Sequence
from functools import partial

from delivery_service.application.ports import Transactions, UnitOfWork
from delivery_service.application.stock_ports import Answer, Inventory, Task
from delivery_service.domain.reservation import StockCommand
from servicekit.crash_points import crash_point


async def claim_due(transactions: Transactions, most: int, lease_seconds: float) -> Sequence[Task]:
    """Takes due commands on lease, at most one a package. The lease must outlast a call to inventory."""
    tasks = await transactions.run(partial(_claim, most, lease_seconds))
    if tasks:
        crash_point("claim.after_commit")
    return tasks


async def send(task: Task, inventory: Inventory) -> Answer:
    """What inventory says to the command."""
    if task.command is StockCommand.RESERVE:
        return await inventory.reserve(task.reservation_id, task.lines, task.trace)
    if task.command is StockCommand.COMMIT:
        return await inventory.commit(task.reservation_id, task.trace)
    return await inventory.release(task.reservation_id, task.trace)


async def _claim(most: int, lease_seconds: float, uow: UnitOfWork) -> Sequence[Task]:
    if await uow.outbox.take_over(most):
        crash_point("lease.after_takeover")
    tasks = await uow.outbox.claim(most, lease_seconds)
    if tasks:
        crash_point("claim.before_commit")
    return tasks
