"""The client programs of MySQL and MariaDB, for tests that run them."""

from pathlib import Path

import pytest

from devtools.engines.client_programs import client_programs
from devtools.engines.engine import EngineUnavailable


def dump_program(engine: str, folder: Path) -> Path:
    """The dump program of an engine, with its client beside it, as scripts in the folder."""
    try:
        return client_programs(engine, folder)
    except EngineUnavailable as reason:
        pytest.fail(str(reason))
