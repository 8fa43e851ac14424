"""pgbench with the best single statement: what the engine does where nothing stands before it."""

import asyncio
import os
import re
import tempfile
from pathlib import Path

from sqlalchemy import make_url

from benchmarks.bench.processor import children_seconds
from benchmarks.bench.results import Load, Void
from benchmarks.bench.statement_forms import SESSION, SINGLE
from benchmarks.bench.wishes import ANY_SKU
from devtools.engines import choice
from devtools.engines.engine import EngineUnavailable, Programs, library_path

ID = "gen_random_uuid()::text"


def find() -> Programs:
    """Those of the server that is chosen, if pgbench is among them. Raises EngineUnavailable."""
    programs = choice.for_inventory().programs
    if not _pgbench(programs).exists():
        raise EngineUnavailable(f"there is no pgbench beside the server {programs.server}")
    return programs


def script(sku: str, stocks: int) -> str:
    """One transaction: a unit of the sku, or of any."""
    drawn = f"\\set n random(1, {stocks})\n" if sku == ANY_SKU else ""
    name = "'S' || :n" if sku == ANY_SKU else f"'{sku}'"
    words = SINGLE.format(sku=name, quantity="1", reservation_id=ID, holder="'bench'", actor="'bench'")
    return drawn + " ".join(words.split()) + ";\n"


async def reserve(programs: Programs, url: str, words: str, *, clients: int, seconds: float) -> Load:
    """So many sessions, each statement prepared, for whole seconds. Raises Void where a transaction failed."""
    address = make_url(url)
    with tempfile.NamedTemporaryFile("w", prefix="hf-pgbench-", suffix=".sql") as file:
        file.write(words)
        file.flush()
        before = children_seconds()
        process = await asyncio.create_subprocess_exec(
            *(str(_pgbench(programs)), "-n", "-M", "prepared", "-f", file.name),
            *("-c", str(clients), "-j", "2", "-T", str(max(1, round(seconds)))),
            *("-h", str(address.query["host"]), "-U", str(address.username), str(address.database)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, **library_path(programs.root), "PGAPPNAME": SESSION},
        )
        output, _ = await process.communicate()
        spent = children_seconds() - before
    operations, rate = parsed(output.decode(errors="replace"))
    return Load(operations, operations / rate, spent)


def _pgbench(programs: Programs) -> Path:
    return programs.server.with_name("pgbench")


def parsed(output: str) -> tuple[int, float]:
    """Transactions, and how many a second once all were connected. Raises Void where one failed."""
    count = re.search(r"^number of transactions actually processed: (\d+)", output, re.MULTILINE)
    failed = re.search(r"^number of failed transactions: ([1-9]\d*)", output, re.MULTILINE)
    rate = re.search(r"^tps = ([\d.]+) \(without initial", output, re.MULTILINE)
    if count is None or rate is None or failed or not int(count[1]) or "aborted" in output:
        raise Void(f"pgbench did not do all of its work:\n{output[-2000:]}")
    return int(count[1]), float(rate[1])
