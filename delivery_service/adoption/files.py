"""The lists of files that legacy actions name, compared with the files that there are."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from delivery_service.adoption.order_lists import Reading, reading
from delivery_service.adoption.run import Run

PAGE = 2000
UNKNOWN = "files of actions that do not exist; their numbers are kept"
NO_FILE = "lists of files with a part that is no file id; kept as they are"

_ACTIONS = text(
    "SELECT id, logistics_voucher_file AS files FROM tigu_order_action"
    " WHERE id > :after AND logistics_voucher_file <> '' ORDER BY id LIMIT :size"
)
_KNOWN = text("SELECT id FROM tigu_uploaded_files WHERE id IN :ids").bindparams(
    bindparam("ids", expanding=True)
)
_COUNT = text("SELECT COUNT(*) FROM tigu_order_action WHERE logistics_voucher_file <> ''")


async def check_files(run: Run, connection: AsyncConnection) -> None:
    """Notes every file that an action names and nobody knows, and what in such a list names none."""
    lists = reading(run.schema)
    total = int((await connection.execute(_COUNT)).scalar_one())
    with run.progress("reading lists of files", total) as advance:
        after = -1
        while actions := (await connection.execute(_ACTIONS, {"after": after, "size": PAGE})).all():
            await _check(run, connection, lists, actions)
            after = actions[-1].id
            advance(len(actions))


async def _check(run: Run, connection: AsyncConnection, lists: Reading, actions: Sequence[Any]) -> None:
    named: list[tuple[int, int]] = []
    for action in actions:
        for part in lists.read(action.files):
            if part.order_id is not None:
                named.append((action.id, part.order_id))
            elif part.fault is not None and part.fault == lists.NO_ID:
                run.oddities.add(NO_FILE, f"action {action.id}", part.text)
    if not named:
        return
    ids = sorted({file for _, file in named})
    known = set((await connection.execute(_KNOWN, {"ids": ids})).scalars())
    for action_id, file in named:
        if file not in known:
            run.oddities.add(UNKNOWN, f"action {action_id}", f"file {file}")
