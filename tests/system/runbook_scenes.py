"""What has happened before somebody opens the runbook, section by section: real services, or a database of old."""

import asyncio
import os
import re
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from holdfast.delivery.v1 import package_pb2
from holdfast.inventory.v1 import reports_pb2, reservation_pb2, transfer_pb2
from holdfast.ops.v1 import ops_pb2, ops_pb2_grpc
from sqlalchemy import make_url

from devtools.journey import PREPARE, Journey, Parties, deliver
from servicekit.persistence.engines import create_engine
from servicekit.schema.migrations import Schema
from tests.delivery_service.adoption import legacy_database as legacy_delivery
from tests.inventory_service.adoption import legacy_database as legacy_inventory
from tests.support.console import ID
from tests.support.databases import fresh_database
from tests.support.forks import run_command
from tests.support.programs import dump_program
from tests.support.services import running_pair
from tests.support.town import SYSTEM, Town

BACKUPS = "/srv/backups"
TO_USER = package_pb2.WORKFLOW_MERCHANT_TO_USER
Event = Callable[[Town], Awaitable[None]]


@dataclass(frozen=True)
class Scene:
    """A shell in a folder of its own; `called` is what things here are called in the runbook."""

    folder: Path
    environment: Mapping[str, str]
    called: Mapping[str, str]
    heard: list[str] = field(default_factory=list)
    """Ids that were printed; the runbook shows those of another day."""

    async def run(self, line: str) -> str:
        """Types a line; answers what it prints, of our own commands without their progress."""
        backups = self.folder / "backups"
        for shown in re.findall(rf"{BACKUPS}/\S+", line):
            (file,) = backups.glob(f"*{''.join(Path(shown).suffixes)}")
            line = line.replace(shown, str(file))
        words = re.sub(ID, lambda shown: self.heard[-1], line).replace(BACKUPS, str(backups))
        process = await asyncio.create_subprocess_exec(
            *("bash", "-c", words),
            cwd=self.folder,
            env={**os.environ, **self.environment},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT if line.startswith("grpcurl") else asyncio.subprocess.DEVNULL,
        )
        output, _ = await asyncio.wait_for(process.communicate(), 120)
        said = output.decode().replace(str(backups), BACKUPS)
        for here, there in self.called.items():
            said = said.replace(here, there)
        self.heard.extend(re.findall(rf'"evidenceId": "({ID})"', said))
        return said


SceneOf = Callable[[Path], AbstractAsyncContextManager[Scene]]


def serving(*events: Event) -> SceneOf:
    """Both services; the shop 7 has ten AJ1-42, and packed its order 4711 as PG4711; then come the events."""

    @asynccontextmanager
    async def scene(folder: Path) -> AsyncIterator[Scene]:
        async with running_pair("mysql", folder) as pair:
            town = Town(pair)
            town.parties = Parties(shop_id="7", warehouse_id="1", driver_id="1")
            town.journey = Journey(town.delivery_channel, town.parties)
            await town.found()
            await _open_the_shop(town)
            for event in events:
                await event(town)
            environment = {
                **_shell(folder),
                "INVENTORY_ADDRESS": pair.inventory.address,
                "DELIVERY_ADDRESS": pair.delivery.address,
                "INVENTORY_DATABASE_URL": pair.inventory_url,
                "DELIVERY_DATABASE_URL": pair.delivery_url,
            }
            yield Scene(folder, environment, {str(make_url(pair.delivery_url).database): "holdfast_delivery"})
            await town.close()

    return scene


async def a_parked_command(town: Town) -> None:
    """Somebody releases the hold by hand, and the package leaves the shelf all the same."""
    by_hand = reservation_pb2.ReleaseReservationRequest(reservation_id="PG4711:1")
    operator = town.parties.metadata("dispatcher")
    await town.inventory.ReleaseReservation(by_hand, metadata=operator, timeout=10)
    for step in (PREPARE, deliver("merchant")):
        await town.take("PG4711", step)
    await _until(lambda: _parked(town))


async def inventory_is_away(town: Town) -> None:
    """It is killed, and another order is packed."""
    await town.order({"AJ1-42": 1}, "4712")
    await town.pair.inventory.kill()
    await town.create(town.package_request(TO_USER, "4712", package_sn="PG4712"))


async def an_order_of_too_much(town: Town) -> None:
    """A hundred units are packed where there are ten."""
    await town.order({"AJ1-42": 100}, "4712")
    await town.create(town.package_request(TO_USER, "4712", package_sn="PG4712"))
    await town.stock_state("PG4712", package_pb2.STOCK_STATE_REJECTED)


async def a_package_on_its_way(town: Town) -> None:
    """The package is prepared, by a photo."""
    await town.take("PG4711", PREPARE)


async def little_is_left(town: Town) -> None:
    """Twenty units of AJ1-42 would be enough."""
    enough = reports_pb2.SetStockThresholdRequest(sku="AJ1-42", threshold=20)
    await town.inventory.SetStockThreshold(enough, metadata=SYSTEM, timeout=10)


async def a_file_was_imported(town: Town) -> None:
    """A delivery note of last Monday."""
    rows = [
        transfer_pb2.ImportStocksRequest(options=transfer_pb2.ImportOptions(import_id="monday")),
        transfer_pb2.ImportStocksRequest(row=transfer_pb2.ImportRow(line=1, sku="TEA-500", quantity=40)),
    ]
    await town.inventory.ImportStocks(iter(rows), metadata=SYSTEM, timeout=10)


async def movements_were_counted(town: Town) -> None:
    """History has come up to now."""

    async def counted() -> bool:
        request = reports_pb2.ListDailyFactsRequest(grouping=reports_pb2.DAILY_FACT_GROUPING_SKU)
        return bool((await town.inventory.ListDailyFacts(request, timeout=10)).facts)

    await _until(counted)


async def _open_the_shop(town: Town) -> None:
    await town.stock(10, "AJ1-42")
    await town.order({"AJ1-42": 2}, "4711")
    await town.create(town.package_request(TO_USER, "4711", package_sn="PG4711"))
    await town.stock_state("PG4711", package_pb2.STOCK_STATE_HELD)


async def _parked(town: Town) -> bool:
    parked = ops_pb2.ListOutboxRequest(state=ops_pb2.OUTBOX_STATE_PARKED)
    return bool(
        (await ops_pb2_grpc.OpsServiceStub(town.delivery_channel).ListOutbox(parked, timeout=10)).entries
    )


async def _until(come: Callable[[], Awaitable[bool]]) -> None:
    deadline = time.monotonic() + 30
    while not await come():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


@asynccontextmanager
async def an_inventory_that_was_adopted(folder: Path) -> AsyncIterator[Scene]:
    """The legacy database `shop`, taken over; its backup is there."""
    async with fresh_database("postgres") as url:
        engine = create_engine(url, for_migrations=True)
        await legacy_inventory.lay_out(engine, legacy_inventory.Legacy(stocks=12))
        await engine.dispose()
        words = ("migrate", "adopt", "--backup", str(folder / "backups"))
        done = await run_command("inventory", *words, INVENTORY_DATABASE_URL=url, INVENTORY_LOG_LEVEL="error")
        assert done.code == 0, done.errors
        environment = {**_shell(folder), "INVENTORY_DATABASE_URL": url}
        yield Scene(folder, environment, {str(make_url(url).database): "shop"})


@asynccontextmanager
async def a_delivery_database_of_old(folder: Path) -> AsyncIterator[Scene]:
    """The legacy database `tigu_b2b` on MySQL, of before Phase 6."""
    async with fresh_database("mysql") as url:
        engine = create_engine(url, for_migrations=True)
        await legacy_delivery.lay_out(engine, legacy_delivery.Legacy(packages=24))
        await engine.dispose()
        dump_program("mysql", folder / "bin")
        environment = {**_shell(folder), "DELIVERY_DATABASE_URL": url}
        yield Scene(folder, environment, {str(make_url(url).database): "tigu_b2b"})


@asynccontextmanager
async def a_database_to_migrate(folder: Path) -> AsyncIterator[Scene]:
    """The database `tigu_b2b` on MariaDB, at the first revision, and the client of a DBA who may enter it."""
    async with fresh_database("mariadb") as url:
        engine = create_engine(url, for_migrations=True)
        await Schema("delivery").upgrade(engine, "0001")
        await engine.dispose()
        client = dump_program("mariadb", folder / "programs").with_name("mariadb")
        target = make_url(url)
        signed_in = (
            f"--no-defaults --socket={target.query['unix_socket']} --user={target.username} {target.database}"
        )
        typed = folder / "bin" / "mariadb"
        typed.parent.mkdir()
        typed.write_text(f'#!/bin/sh\ntest "$1" = tigu_b2b && exec {client} {signed_in}\n')
        typed.chmod(0o755)
        environment = {**_shell(folder), "DELIVERY_DATABASE_URL": url}
        yield Scene(folder, environment, {str(target.database): "tigu_b2b"})


def _shell(folder: Path) -> dict[str, str]:
    """What `source .local/env && source .venv/bin/activate` would set, beside the addresses."""
    programs = [folder / "bin", Path(sys.executable).parent]
    return {
        "PATH": os.pathsep.join([*map(str, programs), os.environ["PATH"]]),
        "INVENTORY_LOG_LEVEL": "error",
        "DELIVERY_LOG_LEVEL": "error",
        "DELIVERY_INVENTORY_ADDRESS": "127.0.0.1:9",
        "DELIVERY_EVIDENCE_URL": str(folder / "evidence"),
    }
