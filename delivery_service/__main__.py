"""`delivery-service serve` and `delivery-service migrate …`."""

import sys

from delivery_service.bootstrap import build
from delivery_service.settings import Database, Settings
from servicekit import command_line


def main() -> int:
    """Runs one command and answers the exit code."""
    return command_line.run("delivery", Database, Settings, build)


if __name__ == "__main__":
    sys.exit(main())
