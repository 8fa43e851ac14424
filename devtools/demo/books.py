"""The last act: what each workflow did, and whether the books of both services agree."""

import grpc
from holdfast.delivery.v1 import package_pb2
from holdfast.ops.v1 import ops_pb2, ops_pb2_grpc
from rich import box
from rich.table import Table

from devtools.demo.journeys import Trip, state_words
from devtools.demo.scene import Scene, Verdict

CHECK_SECONDS = 30.0


async def play(scene: Scene, trips: list[Trip], verdict: Verdict) -> None:
    """Prints the table and asks both services to check themselves."""
    scene.show(_summary(trips))
    channels = {"inventory": scene.inventory_channel, "delivery": scene.delivery_channel}
    for service, channel in channels.items():
        findings = await _findings(channel)
        verdict.complaints += [f"{service}: {finding}" for finding in findings]
        result = f"[red]{len(findings)} findings[/]" if findings else "[green]clean[/]"
        scene.tell(f"Consistency of {service}: {result}")


async def _findings(channel: grpc.aio.Channel) -> list[str]:
    ops = ops_pb2_grpc.OpsServiceStub(channel)
    replies = ops.CheckConsistency(ops_pb2.CheckConsistencyRequest(), timeout=CHECK_SECONDS)
    return [f"{reply.finding.subject}: {reply.finding.description}" async for reply in replies]


def _summary(trips: list[Trip]) -> Table:
    """A column for each package: the states that it passed, downwards, and what it took."""
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("")
    for trip in trips:
        way = trip.title.replace("→ ", "→\n")
        table.add_column(f"{way}\n[dim]{trip.product.name}[/]", justify="center")
    for state in map(state_words, package_pb2.PackageState.values()):
        if any(state in trip.states for trip in trips):
            table.add_row(state, *("[green]●[/]" if state in trip.states else "" for trip in trips))
    table.add_section()
    table.add_row("photos", *(str(trip.photos) for trip in trips))
    stock = (f"{trip.before.quantity} → {trip.after.quantity if trip.after else '?'}" for trip in trips)
    table.add_row("stock", *stock)
    return table
