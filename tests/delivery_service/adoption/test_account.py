"""Adoption by an account that has one database and a password."""

from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from delivery_service.adoption.programs import find_programs
from delivery_service.adoption.restore import put_back
from delivery_service.adoption.run import Dialect, Request
from servicekit.persistence.engines import create_engine
from servicekit.reports.progress import progress
from tests.delivery_service.adoption.conftest import run_adoption
from tests.delivery_service.adoption.legacy_database import Legacy, lay_out, state
from tests.delivery_service.adoption.test_restore import meaning

PASSWORD = 'p"a#s\\s w'


@pytest.mark.parametrize("delivery_engine", ["mysql"])
async def test_the_owner_of_one_database_backs_it_up_adopts_it_and_puts_it_back(
    engine: AsyncEngine, dump: Path, folder: Path
) -> None:
    await lay_out(engine, Legacy(packages=5))
    before = await state(engine)
    log = _telling(dump)
    account = f"u{uuid4().hex[:12]}"
    url = make_url(engine.url).set(username=account, password=PASSWORD)
    quoted = PASSWORD.replace("\\", "\\\\")
    async with engine.begin() as connection:
        await connection.exec_driver_sql(f"CREATE USER {account} IDENTIFIED BY '{quoted}'")
        await connection.exec_driver_sql(f"GRANT ALL ON `{url.database}`.* TO {account}")
    owner = create_engine(url.render_as_string(hide_password=False), pool_size=4, for_migrations=True)
    try:
        told = await run_adoption(owner, Request(folder=folder, dialect=Dialect.PHASE_6, dump_program=dump))
        assert "adopted: the schema is at" in told
        async with owner.connect() as connection:
            programs = await find_programs(connection, dump)
            (backup,) = sorted(folder.glob("*.sql.gz"))  # noqa: ASYNC240
            await put_back(connection, programs, owner.url, backup, progress)
        assert meaning(await state(engine)) == meaning(before)
        arguments = log.read_text()
        assert "--defaults-file=" in arguments and 'p"a' not in arguments
    finally:
        await owner.dispose()
        async with engine.begin() as connection:
            await connection.exec_driver_sql(f"DROP USER {account}")


def _telling(dump: Path) -> Path:
    """Lets the programs write down what they are called with."""
    log = dump.with_name("arguments")
    for program in (dump, dump.with_name(dump.name.split("-")[0].removesuffix("dump"))):
        first, rest = program.read_text().split("\n", 1)
        program.write_text(f'{first}\necho "$@" >> {log}\n{rest}')
    return log
