"""Who used the processor: ours, by process, and everybody else."""

import os
import resource
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Sample:
    """CPU seconds since their beginnings, at one instant of the monotonic clock; those of servers by process."""

    when: float
    machine: float
    ours: float
    servers: Mapping[int, float]
    databases: float


def sample(servers: Iterable[int], databases: Iterable[int]) -> Sample:
    """Looks once. A server is its process alone, a database its process with all below it."""
    parents = _parents()
    of_databases = {pid for root in databases for pid in _tree(root, parents)}
    # A database that the environment names is no child of ours, and still no stranger.
    ours = {*_tree(os.getpid(), parents), *of_databases}
    return Sample(
        time.monotonic(),
        _machine(),
        sum(_with_ended(pid) for pid in ours),
        {pid: _alone(pid) for pid in servers},
        sum(_with_ended(pid) for pid in of_databases),
    )


def foreign_cores(before: Sample, after: Sample) -> float:
    """How many cores others kept busy between two looks; never below 0, where clocks disagree by a tick."""
    theirs = (after.machine - before.machine) - (after.ours - before.ours)
    return max(0.0, theirs / (after.when - before.when))


def children_seconds() -> float:
    """CPU of our children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def pages_mib(pid: int) -> float:
    """The memory of a process tree, pages shared by several counted once among them, in MiB."""
    kilobytes = 0
    for one in _tree(pid, _parents()):
        with suppress(OSError):
            for line in Path(f"/proc/{one}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    kilobytes += int(line.split()[1])
    return kilobytes / 1024


def _machine() -> float:
    # user, nice, system, idle, iowait, irq, softirq, steal: time that a neighbour of the host took is foreign, too.
    figures = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return (sum(figures) - figures[3] - figures[4]) / TICKS


def _fields(pid: int) -> list[str]:
    # The second field is the program's name, which may hold blanks and brackets.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _alone(pid: int) -> float:
    fields = _fields(pid)
    return (int(fields[11]) + int(fields[12])) / TICKS


def _with_ended(pid: int) -> float:
    """Of the process and of those of its children that it has seen end."""
    try:
        return sum(int(field) for field in _fields(pid)[11:15]) / TICKS
    except OSError:
        return 0.0


def _parents() -> dict[int, int]:
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):
                found[int(folder.name)] = int(_fields(int(folder.name))[1])
    return found


def _tree(root: int, parents: dict[int, int]) -> Iterator[int]:
    yield root
    for pid, parent in parents.items():
        if parent == root:
            yield from _tree(pid, parents)
