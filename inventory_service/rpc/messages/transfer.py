"""Imports and exports: the rows of a stream, in parts that one transaction takes, and what became of them."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from dataclasses import dataclass
from uuid import uuid4

from holdfast.inventory.v1 import transfer_pb2 as pb

from inventory_service.application.stock_ports import StockFilter
from inventory_service.domain.commands import Actor
from inventory_service.domain.stock_import import Import, ImportOutcome, ImportProblem, ImportRow
from inventory_service.rpc.messages.stock_details import chosen_details, details_mask, given_details
from inventory_service.rpc.messages.words import STATUSES
from servicekit.errors import field_invalid
from servicekit.rpc.validation import Violations

MOST_ROWS = 500
MOST_BYTES = 1024 * 1024
MOST_PROBLEMS = 1000
MOST_SHOWN_CHARACTERS = 500

NextMessage = Callable[[], Awaitable[pb.ImportStocksRequest | None]]


@dataclass(frozen=True)
class ImportOptions:
    """What counts for all rows of an import; `fields` are those of details that every row sets, None: what it fills."""

    run: Import
    fields: Collection[str] | None


async def import_options(following: NextMessage, actor: Actor) -> ImportOptions:
    """What the first message of a stream says. Raises FieldInvalid."""
    first = await following()
    if first is None or not first.HasField("options"):
        raise field_invalid([("options", "must be in the first message of the stream")])
    given = first.options
    with Violations() as v:
        run = Import(v.name("options.import_id", given.import_id), uuid4(), given.validate_only, actor)
        masked = given.HasField("update_mask")
        fields = details_mask(v, "options.update_mask", given.update_mask) if masked else None
        return ImportOptions(run, fields)


async def import_parts(following: NextMessage, options: ImportOptions) -> AsyncIterator[list[ImportRow]]:
    """The rows that follow, at most MOST_ROWS or about MOST_BYTES at a time; bad ones bear what is wrong with them.

    Raises FieldInvalid for a message that is no row.
    """
    number, size = 0, 0
    rows: list[ImportRow] = []
    while (message := await following()) is not None:
        if not message.HasField("row"):
            raise field_invalid([("row", "must be in every message after the first")])
        number += 1
        rows.append(_row(message.row, number, options))
        size += message.ByteSize()
        if len(rows) >= MOST_ROWS or size >= MOST_BYTES:
            yield rows
            rows, size = [], 0
    if rows:
        yield rows


def _row(message: pb.ImportRow, number: int, options: ImportOptions) -> ImportRow:
    v = Violations()
    sku = v.name("sku", message.sku)
    sku_is_sound = not v.found
    line = message.line or number
    if line < 0:
        v.add("line", "must not be negative")
    quantity = v.quantity("quantity", message.quantity)
    if options.fields is None:
        changes = given_details(v, message.details)
    else:
        changes = chosen_details(v, message.details, options.fields)
    problems = tuple(ImportProblem(line, sku[:64], each.field, each.description) for each in v.found)
    return ImportRow(line, sku, quantity, {} if problems else changes, problems, sku_is_sound)


def outcome_message(outcome: ImportOutcome) -> pb.ImportStocksResponse:
    """What became of one part."""
    return pb.ImportStocksResponse(
        created_count=outcome.created,
        updated_count=outcome.updated,
        unchanged_count=outcome.unchanged,
        refused_count=outcome.refused,
        problem_count=len(outcome.problems),
        problems=[_problem(problem) for problem in outcome.problems[:MOST_PROBLEMS]],
    )


def add_part(whole: pb.ImportStocksResponse, part: pb.ImportStocksResponse) -> None:
    """Adds what became of one part to what became of those before it."""
    room = MOST_PROBLEMS - len(whole.problems)
    whole.problems.extend(part.problems[:room])
    for field in ("created_count", "updated_count", "unchanged_count", "refused_count", "problem_count"):
        setattr(whole, field, getattr(whole, field) + getattr(part, field))


def export_stocks(request: pb.ExportStocksRequest) -> StockFilter:
    """Raises FieldInvalid."""
    with Violations() as v:
        return StockFilter(
            sku_prefix=v.text("sku_prefix", request.sku_prefix, most=64) or None,
            status=v.optional_choice("status", request.status, STATUSES),
            by_sku=True,
        )


def _problem(problem: ImportProblem) -> pb.ImportProblem:
    return pb.ImportProblem(
        line=problem.line,
        sku=problem.sku,
        field=_clipped(problem.field),
        description=_clipped(problem.description),
    )


def _clipped(text: str) -> str:
    return text if len(text) <= MOST_SHOWN_CHARACTERS else f"{text[: MOST_SHOWN_CHARACTERS - 1]}…"
