"""Sets the stage, plays the acts and clears everything away."""

import asyncio
import fcntl
import sys
import time
from pathlib import Path

import grpc
from rich.console import Console

from devtools.demo import books, cancellation, journeys, opening, shortage
from devtools.demo.scene import Scene, Verdict
from devtools.stack.service import LOCAL
from devtools.stack.stack import Addresses, Stack


def demo() -> int:
    """Plays everything on a stack of its own, which is gone afterwards; 0 if every promise was kept."""
    with Path(__file__).open() as stage:
        try:
            fcntl.flock(stage, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("a demo of this checkout runs already; try again when it has ended", file=sys.stderr)
            return 1
        return _show()


def _show() -> int:
    console = Console(highlight=False)
    began = time.monotonic()
    stack = Stack(LOCAL / "demo")
    try:
        # What a killed run left behind goes first.
        stack.reset()
        console.rule("[bold]Databases and services", align="left")
        addresses = stack.up()
        console.print(f"  inventory serves on {addresses.inventory}, delivery on {addresses.delivery}")
        verdict = asyncio.run(_acts(addresses, console))
    finally:
        stack.reset()
    for complaint in verdict.complaints:
        console.print(f"  [red]✗[/] {complaint}")
    ending = "[red]Not as promised" if verdict.complaints else "[bold green]Everything as promised"
    console.print(f"\n  {ending}[/], in {time.monotonic() - began:.1f} s; nothing is left running.")
    return 1 if verdict.complaints else 0


async def _acts(addresses: Addresses, console: Console) -> Verdict:
    verdict = Verdict()
    scene = Scene(addresses, console)
    try:
        scene.act("A warehouse, a driver, full shelves")
        products = await opening.play(scene)
        scene.act("Four packages on four ways, a photo at each step")
        trips = await journeys.play(scene, products, verdict)
        scene.act("One is cancelled")
        await cancellation.play(scene, products[0], verdict)
        scene.act("One asks for too much")
        await shortage.play(scene, products[1:3], verdict)
        scene.act("The books")
        await books.play(scene, trips, verdict)
    except grpc.aio.AioRpcError as error:
        verdict.complaints.append(f"a call failed: {error.code().name}: {error.details()}")
    except TimeoutError:
        verdict.complaints.append("inventory and delivery did not agree in time")
    finally:
        await scene.close()
    return verdict
