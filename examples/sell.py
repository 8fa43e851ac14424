"""Sells two units from the shelf, without asyncio: hold them, take them; python examples/sell.py SKU.

Run it as often as you like: each sale has an id of its own, and may be repeated under it without harm.
"""

import os
import sys
import uuid

import grpc
from google.protobuf.duration_pb2 import Duration
from grpc_status import rpc_status
from holdfast import client
from holdfast.inventory.v1 import inventory_pb2_grpc, reservation_pb2


def main(sku: str) -> int:
    sale = f"sale-{uuid.uuid4()}"
    with client.channel(os.environ["INVENTORY_ADDRESS"]) as channel:
        inventory = inventory_pb2_grpc.InventoryServiceStub(channel)
        wish = reservation_pb2.ReserveStockRequest(
            reservation_id=sale,
            holder="example-shop",
            lines=[reservation_pb2.ReservationLine(sku=sku, quantity=2)],
            # Nobody has to clean up after a shop that dies: the hold ends by itself.
            ttl=Duration(seconds=900),
        )
        try:
            held = inventory.ReserveStock(wish).reservation
        except grpc.RpcError as error:
            return explain(error)
        print(f"{held.lines[0].quantity} of {sku} are held until {held.expire_time.ToJsonString()}")

        # Here the customer pays.
        sold = inventory.CommitReservation(reservation_pb2.CommitReservationRequest(reservation_id=sale))
        print(reservation_pb2.ReservationState.Name(sold.reservation.state))
    return 0


def explain(error: grpc.RpcError) -> int:
    """Prints every line of which there is too little."""
    if not isinstance(error, grpc.Call) or (status := rpc_status.from_call(error)) is None:
        raise error
    shortages = reservation_pb2.ShortageDetails()
    for detail in status.details:
        if detail.Unpack(shortages):
            for line in shortages.shortages:
                print(f"{line.sku}: {line.requested_quantity} wanted, {line.available_quantity} there")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
