"""Files that are there for good once they have their name, whatever falls; private ones only this user can read."""

import os
from pathlib import Path


def make_private(file: Path) -> None:
    """Makes an empty file, with its folder."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file.touch(mode=0o600)


def keep(unfinished: Path, file: Path) -> None:
    """Gives a file its name, in the same folder, once its content is durable."""
    make_durable(unfinished)
    unfinished.rename(file)
    make_durable(file.parent)


def make_durable(path: Path) -> None:
    """Returns once a file's content, or a folder's names, would outlast a loss of power. Raises OSError."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
