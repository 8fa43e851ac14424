"""python -m devtools COMMAND; ./dev and the Makefile come here."""

import signal
import sys


def main() -> int:
    """Runs the command; ^C ends it without a word from here until it can put things away itself."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # The door kept it back until here.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    from devtools import command_line

    return command_line.run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
