"""`inventory-service serve` and `inventory-service migrate …`."""

import sys

from inventory_service.bootstrap import build
from inventory_service.settings import Database, Settings
from servicekit import command_line


def main() -> int:
    """Runs one command and answers the exit code."""
    return command_line.run("inventory", Database, Settings, build)


if __name__ == "__main__":
    sys.exit(main())
