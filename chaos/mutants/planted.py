"""The mutants."""

from chaos.mutants.mutant import Mutant, campaign, test

SIMULATION = campaign(10, 20)
OVERSELL = campaign(1, 2_000, "postgres")
LINEAR_HISTORY = campaign(11, 2, "postgres")
ALL_ENGINES = ("postgres", "mysql", "mariadb")
OUTBOX = test("tests/delivery_service/persistence/test_outbox.py", "mysql", "mariadb")

MUTANTS = (
    Mutant(
        "A hold is taken whether or not there is enough",
        "inventory_service/domain/reserving.py",
        {"    _require_available(book, command.quantities)\n": ""},
        SIMULATION,
    ),
    Mutant(
        "A release of an unknown id leaves no tombstone",
        "inventory_service/domain/resolving.py",
        {
            "return book.put_reservation(tombstone(command.reservation_id, command.actor.name, book.now))": (
                "return tombstone(command.reservation_id, command.actor.name, book.now)"
            )
        },
        SIMULATION,
    ),
    Mutant(
        "A reserve that comes twice is not recognised",
        "inventory_service/domain/reserving.py",
        {"    if known is not None:\n": "    if known is not None and known.tombstone:\n"},
        SIMULATION,
    ),
    Mutant(
        "A sale writes no movement into the ledger",
        "inventory_service/domain/resolving.py",
        {"    if units:\n": "    if units > 1:\n"},
        SIMULATION,
    ),
    Mutant(
        "A commit is answered for a hold that was given back",
        "inventory_service/domain/resolving.py",
        {
            "    _require_open(book, reservation)\n    _require_version(reservation, command.expected_version)\n"
            "    _require_held": "    _require_version(reservation, command.expected_version)\n    _require_held"
        },
        SIMULATION,
    ),
    Mutant(
        "A command is closed before inventory has it",
        "delivery_service/application/settle_stock.py",
        {'    if tasks:\n        crash_point("claim.before_commit")\n': "    await uow.outbox.done(tasks)\n"},
        SIMULATION,
    ),
    Mutant(
        "An answer is recorded under a lease that another relay has",
        "delivery_service/application/record_answers.py",
        {
            "    ours = [each for each in free if each.task.lease in leases]\n": "    ours = free if leases else []\n"
        },
        SIMULATION,
    ),
    Mutant(
        "A refused reserve is not closed by a release",
        "delivery_service/application/record_answers.py",
        {"    if refused:\n": "    if False:\n"},
        SIMULATION,
    ),
    Mutant(
        "A command is set aside after three tries",
        "delivery_service/application/record_answers.py",
        {
            "Settlement(Ending.PUT_BACK, answer.error,": (
                "Settlement(Ending.PARKED if task.attempts > 2 else Ending.PUT_BACK, answer.error,"
            )
        },
        SIMULATION,
    ),
    Mutant(
        "Goods leave the shelf without a word to inventory",
        "delivery_service/domain/move.py",
        {"        return StockState.COMMIT_PENDING\n": "        return package.stock_state\n"},
        SIMULATION,
    ),
    Mutant(
        "An etag is not looked at",
        "delivery_service/domain/package.py",
        {"expected is not None and expected != self.version": "expected is not None and expected < 0"},
        SIMULATION,
    ),
    Mutant(
        "What has left the shelf can be cancelled",
        "delivery_service/domain/transitions.py",
        {
            "_V.CANCEL, _ALL, _f({_PENDING, _PREPARED})": "_V.CANCEL, _ALL, _f({_PENDING, _PREPARED, _PICKED_UP})"
        },
        SIMULATION,
    ),
    Mutant(
        "A hold that is past its time stands in the way of a sale",
        "inventory_service/domain/reserving.py",
        {"        book.expire_due_holds(shortage.sku for shortage in short)\n": ""},
        test("tests/chaos/test_stores.py", only="inventorys_store"),
    ),
    Mutant(
        "The state is that of a plain read",
        "inventory_service/persistence/stock_book_statements.py",
        {
            "{_LEVELS} ORDER BY id FOR UPDATE), named": "{_LEVELS} ORDER BY id), named",
            "{_LEVELS} ORDER BY id FOR UPDATE SKIP LOCKED), locked": "{_LEVELS} ORDER BY id), locked",
        },
        OVERSELL,
    ),
    Mutant(
        "A reader is told what was so a moment ago",
        "inventory_service/application/reads.py",
        {
            "    stock = await uow.stocks.get(sku)\n": (
                "    stock = _read.pop(sku, None) or await uow.stocks.get(sku)\n"
                "    if stock is not None:\n"
                "        _read[sku] = stock\n"
            ),
            "\n\nasync def get_stock": "\n\n_read: dict[str, Stock] = {}\n\n\nasync def get_stock",
        },
        LINEAR_HISTORY,
    ),
    Mutant(
        "Stocks are locked in another order than that of their ids",
        "inventory_service/persistence/stock_book_statements.py",
        {
            "{_LEVELS} ORDER BY id FOR UPDATE), named": "{_LEVELS} ORDER BY id DESC FOR UPDATE), named",
            "{_LEVELS} ORDER BY id FOR UPDATE SKIP LOCKED), locked": (
                "{_LEVELS} ORDER BY id DESC FOR UPDATE SKIP LOCKED), locked"
            ),
        },
        test("tests/inventory_service/persistence/test_stock_books.py", "postgres"),
    ),
    Mutant(
        "The relay goes on from the last entry that it saw",
        "delivery_service/persistence/outbox.py",
        {
            "PENDING, INFLIGHT, DONE, PARKED = range(4)\n": (
                "PENDING, INFLIGHT, DONE, PARKED = range(4)\n_seen = [0]\n"
            ),
            "outbox.c.state == PENDING, outbox.c.next_attempt_time <= self._now)": (
                "outbox.c.state == PENDING, outbox.c.entry_id > _seen[0])"
            ),
            "        ids = [row.entry_id for row in rows]\n": (
                "        ids = [row.entry_id for row in rows]\n        _seen[0] = max(ids)\n"
            ),
        },
        OUTBOX,
    ),
    Mutant(
        "A command may overtake an earlier one of its package",
        "delivery_service/persistence/outbox.py",
        {
            "due.where(~precedes)\n": "due\n",
            "where(outbox.c.entry_id.in_(ids), ~precedes)": "where(outbox.c.entry_id.in_(ids))",
        },
        OUTBOX,
    ),
    Mutant(
        "Half of a transaction is run again",
        "servicekit/persistence/transactions.py",
        {
            "                    result = await work(self._unit_of_work(connection, now))\n": (
                "                    try:\n"
                "                        result = await work(self._unit_of_work(connection, now))\n"
                "                    except DBAPIError:\n"
                "                        result = await work(self._unit_of_work(connection, now))\n"
            )
        },
        test("tests/servicekit/persistence/test_transactions_in_conflict.py", "postgres", "mysql", "mariadb"),
    ),
    Mutant(
        "A photo is on record before its file is there",
        "delivery_service/application/keep_evidence.py",
        {
            "    writing = asyncio.ensure_future(store.put(name, content))\n": (
                "    async def later() -> None:\n"
                "        await asyncio.sleep(0.2)\n"
                "        await store.put(name, content)\n\n"
                "    writing = asyncio.ensure_future(later())\n"
            ),
            "        await asyncio.shield(writing)\n": "        asyncio.shield(writing)\n",
        },
        test(
            "tests/system/test_crash_points.py",
            "postgres",
            "mysql",
            "mariadb",
            only="evidence.after_temp and mysql",
        ),
    ),
    Mutant(
        "A connection that the server has ended is given to a call",
        "servicekit/persistence/engines.py",
        {'"pool_pre_ping": pre_ping,': '"pool_pre_ping": False,'},
        campaign(18, 20, *ALL_ENGINES),
    ),
    Mutant(
        "Two upgrades go on beside each other",
        "servicekit/schema/migrations.py",
        {"            await self._lock(guard)\n": ""},
        campaign(12, 2, *ALL_ENGINES),
    ),
    Mutant(
        "A repair is told of and not committed",
        "delivery_service/application/reconcile.py",
        {'self.transactions.run(unit, name="reconcile")': "self.transactions.read(unit)"},
        campaign(17, 1, *ALL_ENGINES),
    ),
    Mutant(
        "Holds without a package are looked for on full pages only",
        "delivery_service/application/check_reservations.py",
        {
            "                page = []\n        async for found in _orphans(page, inventory, transactions):\n"
            "            yield found\n": "                page = []\n"
        },
        campaign(24, 1, *ALL_ENGINES),
    ),
    Mutant(
        "Whether a hold is over is told by the clock of the process",
        "inventory_service/persistence/stock_books.py",
        {'now: datetime = rows[0]["now"]': 'now = datetime.now(rows[0]["now"].tzinfo)'},
        campaign(19, 20, *ALL_ENGINES),
    ),
    Mutant(
        "A request_id is not looked at",
        "servicekit/rpc/mutations.py",
        {"            if key is None:\n": "            if True:\n"},
        campaign(14, 12, *ALL_ENGINES),
    ),
    Mutant(
        "A reserve that is asked for again bears another name",
        "delivery_service/application/settle_stock.py",
        {
            "inventory.reserve(task.reservation_id, task.lines": (
                'inventory.reserve(task.reservation_id + "-again" * (task.attempts > 1), task.lines'
            )
        },
        campaign(8, 12, *ALL_ENGINES),
    ),
)
