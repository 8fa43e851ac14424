"""The account a server runs under when it refuses to run as root."""

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class RunUser:
    """An account of this machine, by its numbers."""

    name: str
    uid: int
    gid: int

    def own(self, folder: Path) -> None:
        """Gives the folder to this account, closed to everybody else but root."""
        os.chown(folder, self.uid, self.gid)
        folder.chmod(0o700)

    def can_enter(self, folder: Path) -> bool:
        """Whether this account may walk into the folder, judged by owner and permissions all the way up."""
        return all(self._may_pass(step) for step in (folder, *folder.parents) if step.exists())

    def _may_pass(self, folder: Path) -> bool:
        status = folder.stat()
        if status.st_uid == self.uid:
            return bool(status.st_mode & stat.S_IXUSR)
        if status.st_gid == self.gid:
            return bool(status.st_mode & stat.S_IXGRP)
        return bool(status.st_mode & stat.S_IXOTH)


def unprivileged_user() -> RunUser | None:
    """Returns None for an ordinary user; for root the account `postgres` if there is one, else `nobody`."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            account = pwd.getpwnam(name)
        except KeyError:
            continue
        return RunUser(name, account.pw_uid, account.pw_gid)
    raise LookupError("this machine has neither an account `postgres` nor `nobody` to run Postgres as")
