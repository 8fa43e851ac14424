"""SIGTERM and SIGHUP end a command as ^C does: by KeyboardInterrupt, so that it puts away what it has."""

import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

INTERRUPTED = 130


def run(command: Callable[[], int]) -> int:
    """Runs a command, which any of the three signals interrupts; answers its exit code, 130 after a signal."""
    expect()
    try:
        return command()
    except KeyboardInterrupt:
        return INTERRUPTED


def expect() -> None:
    """From now on SIGTERM and SIGHUP do what ^C does, the first of them only."""
    # Shells have what they run in the background ignore ^C, which would then be no end at all.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in _heard():
        signal.signal(number, _interrupt)


@contextmanager
def passed_on(child: "subprocess.Popen[bytes] | subprocess.Popen[str]") -> Iterator[None]:
    """Tells a child of SIGTERM and SIGHUP, and raises KeyboardInterrupt once it has been waited for in here.

    Of ^C a terminal tells everybody in the foreground, the child too.
    """
    told: list[int] = []

    def tell(number: int, frame: FrameType | None) -> None:
        told.append(number)
        child.send_signal(number)

    before = {number: signal.signal(number, tell) for number in _heard()}
    try:
        yield
    finally:
        for number, handler in before.items():
            # Whoever was told puts away what it has once its child is gone.
            signal.signal(number, _disregard if told else handler)
    if told:
        raise KeyboardInterrupt


def _heard() -> list[signal.Signals]:
    """Those that nobody has turned off before, as nohup does."""
    return [
        number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) != signal.SIG_IGN
    ]


def _interrupt(number: int, frame: FrameType | None) -> None:
    for further in _heard():
        # Not ignored: what is started to put things away would ignore it too.
        signal.signal(further, _disregard)
    # Where a loop runs, it knows how to end in good order at ^C.
    signal.raise_signal(signal.SIGINT)


def _disregard(number: int, frame: FrameType | None) -> None:
    """The end has begun, and another one would cut short what puts things away."""
