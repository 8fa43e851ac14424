"""The inventory service as it ships, with methods beside it that only a benchmark calls.

    INVENTORY_DATABASE_URL=… HOLDFAST_BENCH_STOCKS=10000 HOLDFAST_BENCH_BARE_PORT=… \\
        python -m benchmarks.bench.server serve

The same process, loop and log; the empty call and the baselines pass through the same interceptors. A second port has
the empty call without any.
"""

import asyncio
import os
import sys
from collections.abc import Mapping
from typing import Any

import grpc
from google.protobuf.empty_pb2 import Empty
from google.protobuf.wrappers_pb2 import Int64Value
from holdfast.inventory.v1 import reservation_pb2 as pb

from benchmarks.bench.baselines import Baselines
from benchmarks.bench.wishes import Substituting, Wishes
from inventory_service import bootstrap
from inventory_service.settings import Database, Settings
from servicekit.process import command_line
from servicekit.process.server import Service

SERVICE = "holdfast.bench.v1.BenchService"
STOCKS = "HOLDFAST_BENCH_STOCKS"
BARE_PORT = "HOLDFAST_BENCH_BARE_PORT"


class Empties:
    """Calls that do nothing, counted."""

    def __init__(self) -> None:
        self._answered = 0

    async def Call(self, request: Empty, context: Any) -> Empty:
        """Nothing."""
        self._answered += 1
        return request

    async def Answered(self, request: Empty, context: Any) -> Int64Value:
        """How often nothing was done."""
        return Int64Value(value=self._answered)


def _unary(behaviour: Any, request: Any, reply: Any) -> "grpc.RpcMethodHandler[Any, Any]":
    return grpc.unary_unary_rpc_method_handler(behaviour, request.FromString, reply.SerializeToString)


def _methods(
    empties: Empties, wishes: Wishes, baselines: Baselines
) -> Mapping[str, "grpc.RpcMethodHandler[Any, Any]"]:
    parse = wishes.deserializer(pb.ReserveStockRequest.FromString)
    reservers = {
        "ReserveByThree": baselines.ReserveByThree,
        "ReserveByThreeUpdateFirst": baselines.ReserveByThreeUpdateFirst,
        "ReserveBySingle": baselines.ReserveBySingle,
    }
    return {
        "Empty": _unary(empties.Call, Empty, Empty),
        "Answered": _unary(empties.Answered, Empty, Int64Value),
        **{
            name: grpc.unary_unary_rpc_method_handler(
                behaviour, parse, pb.ReserveStockResponse.SerializeToString
            )
            for name, behaviour in reservers.items()
        },
    }


def build(settings: Settings) -> Service:
    """The service with the further methods. Call it inside the event loop."""
    service = bootstrap.build(settings)
    ships = service.register
    empties, wishes = Empties(), Wishes(int(os.environ[STOCKS]))
    baselines = Baselines(settings.database_url)
    bare = grpc.aio.server()
    bare.add_registered_method_handlers(SERVICE, {"Empty": _unary(empties.Call, Empty, Empty)})
    bare.add_insecure_port(f"127.0.0.1:{os.environ[BARE_PORT]}")

    def register(server: grpc.aio.Server) -> None:
        standing: Any = Substituting(server, wishes)
        ships(standing)
        server.add_registered_method_handlers(SERVICE, dict(_methods(empties, wishes, baselines)))
        starting.append(asyncio.ensure_future(bare.start()))

    starting: list[asyncio.Future[None]] = []
    service.register = register
    service.close = [*service.close, baselines.close, lambda: bare.stop(0)]
    return service


def main() -> int:
    """Serves until SIGTERM, as `inventory-service serve` does."""
    return command_line.run("inventory", Database, Settings, build)


if __name__ == "__main__":
    sys.exit(main())
