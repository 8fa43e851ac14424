"""`delivery-service migrate …` as a process."""

from collections.abc import Awaitable, Callable

from tests.support.forks import Done, run_command

Command = Callable[..., Awaitable[Done]]


async def migrate(url: str, *words: str, **environment: str) -> Done:
    """Runs it to its end."""
    given = {"DELIVERY_DATABASE_URL": url, "DELIVERY_LOG_LEVEL": "error"} | environment
    return await run_command("delivery", "migrate", *words, **given)
