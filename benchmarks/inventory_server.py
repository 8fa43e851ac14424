"""Inventory as a process of its own, for a measurement from outside."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from servicekit.process.health import check
from tests.support.services import free_port

START_SECONDS = 30.0


@asynccontextmanager
async def serving(environment: Mapping[str, str]) -> AsyncIterator[tuple[str, int]]:
    """A server on a free port until the end; its address and its process id.

    Raises SystemExit where it ends before it serves, or serves too late.
    """
    address = f"127.0.0.1:{free_port()}"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "inventory_service", "serve"),
        env=os.environ | environment | {"INVENTORY_LISTEN": address},
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(START_SECONDS):
            while not await check(address):
                if process.returncode is not None:
                    raise SystemExit(f"the server ended with exit code {process.returncode}")
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise SystemExit(f"the server does not serve after {START_SECONDS:.0f} s") from None
    else:
        yield address, process.pid
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
