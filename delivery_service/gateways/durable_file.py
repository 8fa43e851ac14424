"""A file that is there for good once it has its name: fsspec writes local files, but does not sync them."""

import os
import tempfile
from pathlib import Path

from servicekit.crash_points import crash_point
from servicekit.durable_files import make_durable

UNFINISHED = ".new-"
"""What the name of a file begins with that was not written to its end."""


def write_durably(root: Path, name: str, content: bytes) -> None:
    """Writes `root/name`, readable by this user only; a death at any moment leaves the whole file or none."""
    path = root / name
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # mkstemp makes the file 0600, and renaming keeps that.
    handle, temporary = tempfile.mkstemp(prefix=UNFINISHED, dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            crash_point("evidence.after_temp")
            os.fsync(file.fileno())
        crash_point("evidence.after_fsync")
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    # The name is durable only once the folders are.
    make_durable(path.parent)
    make_durable(root)
    crash_point("evidence.after_rename")
