"""Rows are put out of order behind the services' backs: each drift is found and repaired, and nothing becomes worse.

The kinds are those that SQL can plant; tests plant others, on holds and bytes.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence

from holdfast.delivery.v1 import package_pb2 as pb
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from chaos.campaign import Campaign, Trial
from delivery_service.domain.workflow import StockState
from delivery_service.persistence.codes import STOCK_STATE_CODES
from tests.support.drifts import KINDS, LONG_AGO, Planted, statement, unmarked
from tests.support.services import running_pair
from tests.support.town import Town

UNITS = 1_000_000
QUIET_SECONDS = 60.0
"""How long the relay may take over what repairs ask of inventory."""
SOLD, HELD = STOCK_STATE_CODES[StockState.COMMITTED], STOCK_STATE_CODES[StockState.HELD]
_PACKAGES = text("SELECT stock_state, count(*) AS packages FROM tigu_prepare_goods GROUP BY stock_state")
_UNSETTLED = text("SELECT count(*) FROM outbox WHERE state NOT IN (2, 3)")


async def run(trial: Trial) -> None:
    """Round after round: a package of each kind, one without a drift, what Reconcile would do, and what it does."""
    async with running_pair(trial.engine, trial.folder) as pair:
        town = Town(pair)
        await town.found()
        engine = create_async_engine(pair.delivery_url)
        drifts = _Drifts(trial, town, engine, await town.stock(UNITS))
        while trial.more:
            await drifts.plant_and_repair()
        await engine.dispose()
        await town.close()


class _Drifts:
    """What is planted in one town, over one stock."""

    def __init__(self, trial: Trial, town: Town, engine: AsyncEngine, sku: str) -> None:
        self._trial = trial
        self._town = town
        self._engine = engine
        self._sku = sku

    async def plant_and_repair(self) -> None:
        """One round."""
        kinds = [kind for kind in KINDS if kind.sql]
        *planted, healthy = await asyncio.gather(*map(self._package, [*kinds, Planted("healthy", "")]))
        await self._quiet()
        await self._execute(LONG_AGO)
        right = await self._records(healthy)
        for kind, package_sn in zip(kinds, planted, strict=True):
            await self._execute(statement(kind.sql, [package_sn]))
        would = await self._reconcile(validate_only=True)
        did = await self._reconcile(validate_only=False)
        subjects = await self._subjects(dict(zip(planted, kinds, strict=True)))
        for kind, subject in zip(kinds, subjects, strict=True):
            self._trial.require(subject in would, f"{kind.name}: not found")
            self._trial.require(did.get(subject, False), f"{kind.name}: not repaired")
        self._trial.require(healthy not in did, "what was in order was repaired")
        await self._quiet()
        self._trial.require(await self._records(healthy) == right, "a package in order is another one now")
        self._trial.violations.extend(await self._town.findings())
        await self._count()
        self._trial.contention["drifts repaired"] += sum(did.get(subject, False) for subject in subjects)
        self._trial.attempted(len(kinds))

    async def _package(self, kind: Planted) -> str:
        town = self._town
        workflow = pb.Workflow.Value(f"WORKFLOW_{kind.workflow}")
        package = await town.package_of(workflow, {self._sku: 1})
        await town.stock_state(package.package_sn, pb.STOCK_STATE_HELD)
        if kind.until == "CANCEL":
            await town.cancel(package.package_sn)
        elif kind.until:
            await town.drive(package, until=kind.until)
        return str(package.package_sn)

    async def _subjects(self, planted: Mapping[str, Planted]) -> list[str]:
        """By what a finding about each package is known."""
        return [
            (await self._town.get(package_sn)).order_ids[0]
            if kind.name == "order seen elsewhere"
            else package_sn
            for package_sn, kind in planted.items()
        ]

    async def _reconcile(self, *, validate_only: bool) -> dict[str, bool]:
        """By each subject, and by the package that a finding names, whether everything found of it was repaired."""
        told: dict[str, bool] = {}
        for answer in await self._town.reconcile(self._town.delivery_channel, validate_only=validate_only):
            self._trial.require(not (validate_only and answer.repaired), "a dry run repaired something")
            for name in {answer.finding.subject, answer.finding.facts.get("package_sn", "")} - {""}:
                told[name] = told.get(name, True) and answer.repaired
        return told

    async def _records(self, package_sn: str) -> Sequence[bytes]:
        """The package and its timeline, as callers see them."""
        request = pb.ListPackageEventsRequest(package_sn=package_sn, page_size=100)
        events = await self._town.delivery.ListPackageEvents(request, timeout=10)
        package = await self._town.get(package_sn)
        return package.SerializeToString(deterministic=True), events.SerializeToString(deterministic=True)

    async def _count(self) -> None:
        """What is sold has left the stock, once, and what is held is held once."""
        async with self._engine.connect() as connection:
            packages = {row.stock_state: row.packages for row in await connection.execute(_PACKAGES)}
        wanted = UNITS - packages.get(SOLD, 0), packages.get(HELD, 0)
        levels = await self._town.levels(self._sku)
        self._trial.require(levels == wanted, f"the stock should be {wanted}, and is {levels}")

    async def _quiet(self) -> None:
        """Until nothing is left to tell inventory."""
        until = time.monotonic() + QUIET_SECONDS
        while time.monotonic() < until:
            async with self._engine.connect() as connection:
                if not (await connection.execute(_UNSETTLED)).scalar_one():
                    return
            await asyncio.sleep(0.05)
        self._trial.violations.append(f"commands are under way after {QUIET_SECONDS:.0f} s")

    async def _execute(self, sql: str) -> None:
        async with self._engine.begin() as connection:
            await connection.execute(text(unmarked(sql)))


CAMPAIGN = Campaign(
    number=17,
    title="Drifts that are planted, and reconciliation",
    promises=(9, 25),
    attempt="drifts",
    short=50,
    long=1_000,
    run=run,
    contention=("drifts repaired",),
    engines=("mysql", "mariadb"),
)
