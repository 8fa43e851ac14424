"""Places where a process can be made to die, so that tests can prove that nothing is lost there.

`HOLDFAST_CRASH_AT=name[:nth]` ends the process at the nth pass through the place of that name, at once and
without any clean-up, as SIGKILL would. Without the variable a crash point does nothing.
"""

import os


class _Trap:
    def __init__(self, setting: str) -> None:
        self.name, _, nth = setting.partition(":")
        self.passes_left = int(nth or 1)


_setting = os.environ.get("HOLDFAST_CRASH_AT")
_trap = _Trap(_setting) if _setting else None


def crash_point(name: str) -> None:
    """Dies here if the environment says so."""
    if _trap is None or name != _trap.name:
        return
    _trap.passes_left -= 1
    if _trap.passes_left == 0:
        os._exit(137)
