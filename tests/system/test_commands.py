"""Commands as the tests run them."""

import pytest

from tests.support import forks


async def test_a_command_that_does_not_end_fails_whoever_waits_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(forks, "MOST_SECONDS", 1.0)

    with pytest.raises(TimeoutError):
        await forks.run_command(
            "inventory",
            "serve",
            INVENTORY_DATABASE_URL="postgresql+asyncpg://nowhere",
            INVENTORY_LISTEN="127.0.0.1:0",
        )
