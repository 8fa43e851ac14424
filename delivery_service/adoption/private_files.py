"""Files that only this user can read, and that are there for good once they have their name."""

import os
from pathlib import Path


def make_private(file: Path) -> None:
    """Makes an empty file, with its folder."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file.touch(mode=0o600)


def keep(unfinished: Path, file: Path) -> None:
    """Gives a file its name once its content is durable."""
    _make_durable(unfinished)
    unfinished.rename(file)
    _make_durable(file.parent)


def _make_durable(path: Path) -> None:
    """A file's content, or a folder's names."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
