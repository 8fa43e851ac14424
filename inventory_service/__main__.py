"""`inventory-service serve`, `migrate …`, `archive …`, `import` and `export`."""

import sys
from collections.abc import Sequence
from typing import Any

try:
    from inventory_service.adoption.hindrance import hindrance
    from inventory_service.bootstrap import build
    from inventory_service.commands.adopt import ADOPT, RESTORE
    from inventory_service.commands.archive import ARCHIVE
    from inventory_service.commands.export_stocks import EXPORT
    from inventory_service.commands.import_stocks import IMPORT
    from inventory_service.commands.schedule_refresh import ACTION as SCHEDULE_REFRESH
    from inventory_service.contract_steps.command import ACTION as CONTRACT
    from inventory_service.settings import Database, Settings
    from servicekit.process import command_line
    from servicekit.process.command_line import Command
    from servicekit.schema.migrate_command import Action
except KeyboardInterrupt:
    # Loading all this takes a second, in which nothing is begun.
    print("inventory-service was interrupted", file=sys.stderr)
    raise SystemExit(130) from None
except ModuleNotFoundError as missing:
    print(f"inventory-service needs what holdfast[server] installs: {missing}", file=sys.stderr)
    raise SystemExit(1) from None

ACTIONS: Sequence[Action] = (CONTRACT, SCHEDULE_REFRESH, ADOPT, RESTORE)
COMMANDS: Sequence[Command[Any]] = (ARCHIVE, IMPORT, EXPORT)


def main() -> int:
    """Runs one command and answers the exit code."""
    return command_line.run(
        "inventory", Database, Settings, build, actions=ACTIONS, commands=COMMANDS, hindrance=hindrance
    )


if __name__ == "__main__":
    sys.exit(main())
