"""Sets the quantities and details of many stocks, each once per import."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from inventory_service.application.holders import all_with_holders
from inventory_service.application.ports import UnitOfWork
from inventory_service.domain.commands import AdjustStock, UpdateStock
from inventory_service.domain.errors import Refusal, StockNotFound
from inventory_service.domain.movement import Movement, MovementReason
from inventory_service.domain.stock import StockDetails
from inventory_service.domain.stock_book import StockBook
from inventory_service.domain.stock_changes import adjust
from inventory_service.domain.stock_import import Import, ImportOutcome, ImportProblem, ImportRow


async def import_stocks(run: Import, rows: Sequence[ImportRow], uow: UnitOfWork) -> ImportOutcome:
    """What became of the rows: the part of an import that one transaction applies.

    A row is applied once per (sku, import_id): the record of it and its effect are one transaction. Refused rows
    leave no record, and leave the others alone.
    """
    outcome = ImportOutcome()
    once = await _first_of_each(run, rows, outcome, uow)
    if run.validate_only:
        new = await uow.imports.list_new(run.import_id, list(once))
    else:
        new = await uow.imports.claim(run.import_id, list(once))
    outcome.unchanged = len(once) - len(new)
    refused = await _apply(run, [row for sku, row in once.items() if sku in new], outcome, uow)
    if refused and not run.validate_only:
        await uow.imports.give_back(run.import_id, refused)
    outcome.problems.sort(key=lambda problem: problem.line)
    return outcome


async def _first_of_each(
    run: Import, rows: Sequence[ImportRow], outcome: ImportOutcome, uow: UnitOfWork
) -> dict[str, ImportRow]:
    """The sound rows, by sku. A row whose sku stands on an earlier line of this stream is refused."""
    lines: dict[str, int] = {}
    for row in rows:
        if row.sku_is_sound:
            lines.setdefault(row.sku, row.line)
    earlier = dict(await uow.imports.note_lines(run.stream_id, lines))
    once = {}
    for row in rows:
        problems = list(row.problems)
        if row.sku in earlier:
            told = f"stands on line {earlier[row.sku]} already; line {row.line} is not applied"
            problems.append(ImportProblem(row.line, row.sku, "sku", told))
        elif row.sku_is_sound:
            earlier[row.sku] = row.line
        if problems:
            outcome.refuse(*problems)
        else:
            once[row.sku] = row
    return once


async def _apply(
    run: Import, rows: Sequence[ImportRow], outcome: ImportOutcome, uow: UnitOfWork
) -> list[str]:
    """Applies rows that were not applied before; answers the skus of those that the books refuse."""
    if not rows:
        return []
    created: Mapping[str, UUID] = {}
    if not run.validate_only:
        created = await _create_missing(rows, uow)
    book = await uow.books.open([UpdateStock(row.sku, row.changes) for row in rows])
    book.movements += [
        _opening(run, row, created[row.sku]) for row in rows if row.sku in created and row.quantity
    ]
    stocks = await uow.stocks.get_many([row.sku for row in rows])
    changes: dict[UUID, Mapping[str, object]] = {}
    refused: list[tuple[ImportRow, Refusal]] = []
    for row in rows:
        stock = stocks.get(row.sku)
        if row.sku in created or (stock is None and run.validate_only):
            outcome.created += 1
            continue
        refusal = _set_quantity(run, row, book)
        if stock is None or refusal is not None:
            refused.append((row, refusal or StockNotFound((row.sku,))))
            continue
        differing = {k: v for k, v in row.changes.items() if getattr(stock.details, k) != v}
        if differing or stock.quantity != row.quantity:
            outcome.updated += 1
        else:
            outcome.unchanged += 1
        if differing:
            changes[stock.stock_id] = differing
    if not run.validate_only:
        await uow.books.save(book)
        await uow.stocks.update_many(changes, book.now)
    await _refuse(refused, book, outcome, uow)
    return [row.sku for row, _ in refused]


async def _create_missing(rows: Sequence[ImportRow], uow: UnitOfWork) -> Mapping[str, UUID]:
    """Creates the stocks that there are not; answers their ids, by sku."""
    # With their units at once: a stock that is empty for a moment would be low for a moment.
    return await uow.stocks.add_missing(
        {row.sku: (row.quantity, StockDetails(**row.changes)) for row in rows}
    )


def _opening(run: Import, row: ImportRow, stock_id: UUID) -> Movement:
    reason, actor = MovementReason.IMPORT, run.actor.name
    return Movement(stock_id, row.sku, row.quantity, reason, actor, reference=run.import_id)


def _set_quantity(run: Import, row: ImportRow, book: StockBook) -> Refusal | None:
    """Why the stock cannot have so many units; None if it has them now."""
    try:
        delta = row.quantity - book.level(row.sku).quantity
    except StockNotFound as gone:
        return gone
    if not delta:
        return None
    command = AdjustStock(
        row.sku, delta, MovementReason.IMPORT, reference=run.import_id, note="", actor=run.actor
    )
    outcome = adjust(book, command)
    return outcome if isinstance(outcome, Refusal) else None


async def _refuse(
    refused: Sequence[tuple[ImportRow, Refusal]], book: StockBook, outcome: ImportOutcome, uow: UnitOfWork
) -> None:
    refusals = await all_with_holders([refusal for _, refusal in refused], book.now, uow)
    for (row, _), refusal in zip(refused, refusals, strict=True):
        field = "sku" if isinstance(refusal, StockNotFound) else "quantity"
        outcome.refuse(ImportProblem(row.line, row.sku, field, str(refusal)))
