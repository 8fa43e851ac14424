"""How far long work is: a bar on a terminal, plain lines elsewhere; on stderr, so that stdout is the result."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

PLAIN_SECONDS = 5.0


@contextmanager
def progress(title: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Gives a function that is told how much more is done; a `total` of None is not known yet."""
    if not sys.stderr.isatty():
        print(f"{title}: {'begins' if total is None else f'{total} to do'}", file=sys.stderr)
        yield _plain_lines(title, total)
        print(f"{title}: done", file=sys.stderr)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=total)
        yield lambda done: bar.advance(task, done)


def _plain_lines(title: str, total: int | None) -> Callable[[int], None]:
    """A line every few seconds."""
    done = 0
    next_line = time.monotonic() + PLAIN_SECONDS

    def advance(more: int) -> None:
        nonlocal done, next_line
        done += more
        if time.monotonic() >= next_line:
            print(f"{title}: {done}{'' if total is None else f' of {total}'}", file=sys.stderr)
            next_line = time.monotonic() + PLAIN_SECONDS

    return advance
