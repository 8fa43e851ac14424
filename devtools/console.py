"""Lines for the person who waits: what was chosen, what is being fetched and how far it is."""

import os
import sys


def say(line: str) -> None:
    """Prints one line at once."""
    show(f"  {line}\n")


def show(text: str) -> None:
    """Prints as it is and at once. Where nobody reads any more (`make up | head -1`) the work goes on unseen."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        # What is left in the buffer must have a place to go when the interpreter ends.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def progress(label: str, done: int, total: int) -> None:
    """Rewrites one line on a terminal; elsewhere prints only the first and the last state."""
    text = f"  {label} · {done}/{total}"
    if sys.stdout.isatty():
        show(f"\r\033[K{text}" + ("\n" if done >= total else ""))
    elif done in (1, total):
        show(f"{text}\n")
