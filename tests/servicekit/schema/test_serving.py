"""The build before, beside a schema that a newer build has moved."""

from pathlib import Path

import pytest
from sqlalchemy import text

from servicekit.errors import DatabaseUnavailable
from servicekit.operations.diagnostics import Diagnosis, Severity, diagnose
from servicekit.operations.probes import common_probes
from servicekit.persistence.engines import create_engine
from servicekit.persistence.transactions import Transactions
from servicekit.process.health import Health
from servicekit.process.readiness import Readiness
from servicekit.schema.migrations import Schema
from servicekit.schema.schema_history import HISTORY_TABLE, serve_since
from tests.servicekit.accounts import Accounts
from tests.servicekit.scripts import write_history

METHOD = "/shop.v1.ShopService/Sell"


async def probe(url: str, schema: Schema) -> Diagnosis:
    """What the probe of the schema says."""
    engine = create_engine(url)
    found = await diagnose(common_probes(engine, engine, schema, Transactions(engine, Accounts)))
    await engine.dispose()
    return found["schema"]


async def test_a_build_goes_on_through_an_upgrade_and_stops_where_the_schema_says_so(
    empty_url: str, tmp_path: Path
) -> None:
    before = Schema("shop", write_history(tmp_path / "before", revisions=2))
    expand = Schema("shop", write_history(tmp_path / "expand", revisions=3))
    contract = Schema("shop", write_history(tmp_path / "contract", revisions=4, since="0004"))
    engine = create_engine(empty_url, for_migrations=True)
    await before.upgrade(engine)
    looking = Readiness(engine, before, Health(()))

    await expand.upgrade(engine)
    await looking.look()
    beside = await probe(empty_url, before)
    looking.admit(METHOD)

    await contract.upgrade(engine)
    await looking.look()
    stopped = await probe(empty_url, before)
    with pytest.raises(DatabaseUnavailable, match="builds since 0004 may serve it: deploy the build"):
        looking.admit(METHOD)
    await engine.dispose()

    ahead = "ahead of this build, which is of 0002; builds since"
    assert beside == Diagnosis(
        Severity.WARN,
        f"the schema is at 0003, {ahead} 0001 may serve it; deploy the build whose schema is 0003",
        "shop-service migrate status",
    )
    assert stopped == Diagnosis(
        Severity.FAIL,
        f"the schema is at 0004, {ahead} 0004 may serve it: calls are refused;"
        " deploy the build whose schema is 0004",
        "shop-service migrate status",
    )


async def test_a_newer_schema_without_a_word_about_older_builds_is_not_served(
    empty_url: str, tmp_path: Path
) -> None:
    older = Schema("shop", write_history(tmp_path / "older", revisions=2))
    newer = Schema("shop", write_history(tmp_path / "newer", revisions=3))
    engine = create_engine(empty_url, for_migrations=True)
    await newer.upgrade(engine)
    async with engine.begin() as connection:
        await connection.execute(text(f"DELETE FROM {HISTORY_TABLE} WHERE kind = 'serves since'"))  # noqa: S608
    looking = Readiness(engine, older, Health(()))

    await looking.look()
    unfit = looking.fit()
    async with engine.begin() as connection:
        await connection.run_sync(serve_since, "0002")
        await connection.run_sync(serve_since, "0001")
    await looking.look()

    assert (unfit, looking.fit()) == (False, True)
    assert (await older.serving(engine)).since == "0002"
    await engine.dispose()
