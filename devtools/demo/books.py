"""The last act: what each workflow did, and whether the books of both services agree."""

import textwrap

import grpc
from holdfast.ops.v1 import ops_pb2, ops_pb2_grpc
from rich import box
from rich.table import Table

from devtools.demo.journeys import Trip
from devtools.demo.scene import Scene, Verdict

CHECK_SECONDS = 30.0
# As much as fits a terminal of 80 columns beside the other three columns.
STATES_WIDTH = 32


async def play(scene: Scene, trips: list[Trip], verdict: Verdict) -> None:
    """Prints the table and asks both services to check themselves."""
    scene.console.print(_summary(trips))
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
    table = Table(box=box.SIMPLE_HEAD)
    for heading in ("workflow", "states passed", "photos", "stock"):
        table.add_column(heading, justify="right" if heading in ("photos", "stock") else "left")
    for trip in trips:
        # A state of two words stays in one line.
        states = " → ".join(state.replace(" ", "\u00a0") for state in trip.states)
        table.add_row(
            f"{trip.title}\n[dim]{trip.product.name}[/]",
            textwrap.fill(states, STATES_WIDTH),
            str(trip.photos),
            f"{trip.before.quantity} → {trip.after.quantity if trip.after else '?'}",
        )
    return table
