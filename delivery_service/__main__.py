"""`delivery-service serve`, `delivery-service migrate …`, and of the latter `adopt`, `restore`, `sql`, `contract`."""

import sys
from collections.abc import Sequence

try:
    from delivery_service.adoption.hindrance import hindrance
    from delivery_service.bootstrap import build
    from delivery_service.commands.adopt import ADOPT, RESTORE
    from delivery_service.commands.render_sql import SQL
    from delivery_service.contract_steps.command import ACTION as CONTRACT
    from delivery_service.settings import Database, Settings
    from servicekit.process import command_line
    from servicekit.schema.migrate_command import Action
except KeyboardInterrupt:
    # Loading all this takes a second, in which nothing is begun.
    print("delivery-service was interrupted", file=sys.stderr)
    raise SystemExit(130) from None
except ModuleNotFoundError as missing:
    print(f"delivery-service needs what holdfast[server] installs: {missing}", file=sys.stderr)
    raise SystemExit(1) from None

ACTIONS: Sequence[Action] = (ADOPT, RESTORE, SQL, CONTRACT)


def main() -> int:
    """Runs one command and answers the exit code."""
    return command_line.run("delivery", Database, Settings, build, actions=ACTIONS, hindrance=hindrance)


if __name__ == "__main__":
    sys.exit(main())
