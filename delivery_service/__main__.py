"""`delivery-service serve` and `delivery-service migrate …`."""

import argparse
import asyncio
import sys

from delivery_service import bootstrap, settings
from servicekit import logs, migrate_command
from servicekit.server import CannotListen, serve
from servicekit.settings import SettingsInvalid


def main() -> int:
    """Runs one command and answers the exit code: 2 for bad settings or a taken address."""
    parser = argparse.ArgumentParser("delivery-service", description=main.__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("serve", help="serve until SIGTERM, then drain")
    migrate_command.add_parser(commands)
    arguments = parser.parse_args()
    try:
        read = settings.read()
        logs.configure(read.log_level)
        if arguments.command == "migrate":
            return migrate_command.run(arguments, bootstrap.schema(), read.database_url)
        return _serve(read)
    except (SettingsInvalid, CannotListen) as error:
        print(error, file=sys.stderr)
        return 2


def _serve(read: settings.Settings) -> int:
    async def run() -> int:
        return await serve(bootstrap.build(read))

    try:
        import uvloop
    except ImportError:
        return asyncio.run(run())
    return uvloop.run(run())


if __name__ == "__main__":
    sys.exit(main())
