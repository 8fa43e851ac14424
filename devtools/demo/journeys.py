"""Act two: four packages, one for each workflow, all at once, a photo at each step that needs one."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from holdfast.delivery.v1 import package_pb2
from rich.live import Live
from rich.table import Table

from devtools.demo.opening import Product
from devtools.demo.scene import CALL_SECONDS, Level, Scene, Verdict
from devtools.journey import CLAIM, STEPS

UNITS = 3
# A person wants to see the packages move.
BEAT_SECONDS = 0.15


@dataclass
class Trip:
    """One package on its way, and what it left behind."""

    workflow: package_pb2.Workflow.ValueType
    product: Product
    before: Level
    after: Level | None = None
    states: list[str] = field(default_factory=lambda: ["pending"])
    photos: int = 0

    @property
    def title(self) -> str:
        """The workflow as people say it."""
        return _words(package_pb2.Workflow.Name(self.workflow), "WORKFLOW_").replace(" to ", " → ")


async def play(scene: Scene, products: list[Product], verdict: Verdict) -> list[Trip]:
    """Drives all four packages to COMPLETED and their stock off the shelf."""
    trips = [
        Trip(workflow, product, await scene.level(product.sku))
        for workflow, product in zip(STEPS, products, strict=True)
    ]
    if scene.console.is_terminal:
        with Live(_picture(trips), console=scene.console, refresh_per_second=12) as live:
            await _travel_all(scene, trips, lambda: live.update(_picture(trips)), verdict)
    else:
        await _travel_all(scene, trips, lambda: None, verdict)
        scene.show(_picture(trips))
    return trips


async def _travel_all(scene: Scene, trips: list[Trip], moved: Callable[[], None], verdict: Verdict) -> None:
    await asyncio.gather(*(_travel(scene, trip, moved, verdict) for trip in trips))


def state_words(state: package_pb2.PackageState.ValueType) -> str:
    """A package's state as people say it."""
    return _words(package_pb2.PackageState.Name(state), "PACKAGE_STATE_")


def _words(name: str, prefix: str) -> str:
    """A name of the contract as people say it."""
    return name.removeprefix(prefix).replace("_", " ").lower()


async def _travel(scene: Scene, trip: Trip, moved: Callable[[], None], verdict: Verdict) -> None:
    package = await scene.pack(trip.workflow, {trip.product.sku: UNITS})
    verdict.expect(f"{trip.title}: stock held", package.stock_state, package_pb2.STOCK_STATE_HELD)
    moved()
    for step in STEPS[trip.workflow]:
        await asyncio.sleep(BEAT_SECONDS if scene.console.is_terminal else 0)
        package = await scene.journey.take(package.package_sn, step)
        state = state_words(package.state)
        if state != trip.states[-1]:
            trip.states.append(state)
        moved()
    await scene.settled(package.package_sn, package_pb2.STOCK_STATE_COMMITTED)
    trip.after = await scene.level(trip.product.sku)
    trip.photos = await _photos(scene, package.package_sn)
    sold = Level(trip.before.quantity - UNITS, trip.before.reserved)
    verdict.expect(f"{trip.title}: stock off the shelf exactly once", trip.after, sold)


async def _photos(scene: Scene, package_sn: str) -> int:
    """Counts the photos that the package's own timeline names."""
    request = package_pb2.ListPackageEventsRequest(package_sn=package_sn)
    timeline = await scene.delivery.ListPackageEvents(request, timeout=CALL_SECONDS)
    return sum(len(event.evidence_ids) for event in timeline.events)


def _picture(trips: list[Trip]) -> Table:
    table = Table.grid(padding=(0, 2))
    for trip in trips:
        # Claiming is a step that leaves the package where it is.
        ahead = sum(step != CLAIM for step in STEPS[trip.workflow]) + 1 - len(trip.states)
        colour = "cyan" if ahead else "green"
        dots = f"[{colour}]{'●' * len(trip.states)}[/][dim]{'○' * ahead}[/]"
        table.add_row("", trip.title, dots, f"[{colour}]{trip.states[-1]}[/]")
    return table
