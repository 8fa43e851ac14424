"""`inventory-service migrate …` as a process."""

from collections.abc import Awaitable, Callable

from tests.support.forks import Done, run_command

Command = Callable[..., Awaitable[Done]]


async def migrate(url: str, *words: str, **environment: str) -> Done:
    """Runs it to its end."""
    given = {"INVENTORY_DATABASE_URL": url, "INVENTORY_LOG_LEVEL": "error"} | environment
    return await run_command("inventory", "migrate", *words, **given)
