"""Import and export by the commands: rows a second, and time and memory of server and command at two sizes.

    python -m benchmarks.transfer [--rows 10000 100000] [--results FILE]

Server, command and Postgres are processes of their own; each size has a fresh server and a fresh database. CPU is
what the process itself used in the step, its start included; memory is the most that it ever had resident.
"""

import argparse
import asyncio
import csv
import os
import re
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from benchmarks.database import postgres_database
from benchmarks.inventory_server import serving
from inventory_service.commands.stock_csv import COLUMNS
from servicekit.persistence.engines import create_engine
from servicekit.schema.migrations import Schema

RESULTS = Path(__file__).parent / "results/transfer.txt"
HEAD = (
    f"{'rows':>8}  {'step':<34} {'seconds':>8} {'rows/s':>8}"
    f" {'command CPU s':>14} {'MiB':>4} {'server CPU s':>13} {'MiB':>4}"
)


def write(path: Path, rows: int, quantity: int, *, doubles: bool = False) -> None:
    """A file of stocks with some details; with `doubles` every hundredth names the stock before it again."""
    with path.open("w", encoding="utf-8", newline="") as file:
        records = csv.writer(file)
        records.writerow([*COLUMNS[:2], "gross_purchase_price", "notes", "location"])
        for number in range(rows):
            named = number - 1 if doubles and number % 100 == 99 else number
            records.writerow([f"SKU-{named:07}", quantity, "199.90", f"note of {number}", f"R{number % 99}"])


async def command(
    environment: Mapping[str, str], *words: str, expected: int = 0
) -> tuple[float, float, float]:
    """Runs a command; answers its seconds, those of CPU, and its most MiB of memory."""
    began = time.perf_counter()
    arguments = [sys.executable, "-m", "inventory_service", *words]
    quiet = [(os.POSIX_SPAWN_OPEN, stream, os.devnull, os.O_WRONLY, 0) for stream in (1, 2)]
    pid = os.posix_spawn(  # noqa: ASYNC221
        sys.executable, arguments, os.environ | environment, file_actions=quiet
    )
    _, status, usage = await asyncio.to_thread(os.wait4, pid, 0)
    if os.waitstatus_to_exitcode(status) != expected:
        raise SystemExit(f"{' '.join(words)} ended with {os.waitstatus_to_exitcode(status)}")
    return time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def most_resident_mib(pid: int) -> float:
    """The most that a process had in memory."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


def cpu_seconds(pid: int) -> float:
    """The CPU that a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def measure(rows: int, folder: Path, lines: list[str]) -> str:
    """All steps at one size; answers what Postgres it was."""
    files = {name: str(folder / f"{name}.csv") for name in ("first", "second", "doubles", "exported")}
    write(Path(files["first"]), rows, 5)
    write(Path(files["second"]), rows, 6)
    write(Path(files["doubles"]), rows, 7, doubles=True)
    steps = {
        "import, every stock new": ("import", files["first"]),
        "the same file again": ("import", files["first"]),
        "import, every stock changed": ("import", files["second"]),
        "judge only, 1 of 100 named twice": ("import", files["doubles"], "--validate-only"),
        "export": ("export", files["exported"]),
    }
    async with postgres_database() as (url, described):
        engine = create_engine(url, pool_size=2, for_migrations=True)
        await Schema("inventory").upgrade(engine)
        await engine.dispose()
        async with serving({"INVENTORY_DATABASE_URL": url}) as (address, pid):
            for step, words in steps.items():
                expected = 1 if "judge" in step else 0
                before = cpu_seconds(pid)
                seconds, cpu, mib = await command({"INVENTORY_ADDRESS": address}, *words, expected=expected)
                lines.append(
                    f"{rows:>8}  {step:<34} {seconds:>8.1f} {rows / seconds:>8.0f} {cpu:>14.1f} {mib:>4.0f}"
                    f" {cpu_seconds(pid) - before:>13.1f} {most_resident_mib(pid):>4.0f}"
                )
                print(lines[-1], flush=True)
    return described


async def main() -> None:
    """Measures each size and writes what came out."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    lines = [HEAD]
    print(HEAD)
    for rows in arguments.rows:
        with tempfile.TemporaryDirectory(prefix="hf-transfer-") as folder:
            described = await measure(rows, Path(folder), lines)
    arguments.results.parent.mkdir(exist_ok=True)
    arguments.results.write_text(f"{described}; {os.cpu_count()} cores\n\n" + "\n".join(lines) + "\n")


if __name__ == "__main__":
    asyncio.run(main())
