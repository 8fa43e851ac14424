"""Lines for the person who waits: what was chosen, what is being fetched and how far it is."""

import sys


def say(line: str) -> None:
    """Prints one line at once."""
    print(f"  {line}", flush=True)


def progress(label: str, done: int, total: int) -> None:
    """Rewrites one line on a terminal; elsewhere prints only the first and the last state."""
    text = f"  {label} · {done}/{total}"
    if sys.stdout.isatty():
        print(f"\r\033[K{text}", end="\n" if done >= total else "", flush=True)
    elif done in (1, total):
        print(text, flush=True)
