"""Act one: a warehouse, a driver and full shelves."""

from dataclasses import dataclass

from holdfast.delivery.v1 import directory_pb2
from holdfast.inventory.v1 import stock_pb2

from devtools.demo.scene import CALL_SECONDS, Scene


@dataclass(frozen=True)
class Product:
    """What the merchant sells."""

    sku: str
    name: str
    units: int


async def play(scene: Scene) -> list[Product]:
    """Registers who takes part and fills the shelves; returns one product for each workflow."""
    system = scene.parties.metadata("system")
    await scene.delivery.RegisterWarehouse(
        directory_pb2.RegisterWarehouseRequest(
            warehouse_id=scene.parties.warehouse_id,
            code=f"NORTH-{scene.run}",
            name="North Quay",
            request_id=f"warehouse-{scene.run}",
        ),
        metadata=system,
        timeout=CALL_SECONDS,
    )
    await scene.delivery.RegisterDriver(
        directory_pb2.RegisterDriverRequest(
            driver_id=scene.parties.driver_id,
            name="Van 7",
            phone=scene.parties.driver_id,
            request_id=f"driver-{scene.run}",
        ),
        metadata=system,
        timeout=CALL_SECONDS,
    )
    products = [
        Product(f"TEA-{scene.run}", "Earl Grey tea", 40),
        Product(f"CUP-{scene.run}", "Blue cup", 24),
        Product(f"POT-{scene.run}", "Iron teapot", 8),
        Product(f"TIN-{scene.run}", "Tin with lid", 60),
    ]
    for product in products:
        await scene.inventory.CreateStock(
            stock_pb2.CreateStockRequest(
                sku=product.sku, quantity=product.units, request_id=f"stock-{product.sku}"
            ),
            metadata=system,
            timeout=CALL_SECONDS,
        )
    scene.tell("Warehouse North Quay and driver Van 7 are registered.")
    scene.tell("On the shelves: " + ", ".join(f"{each.units} × {each.name}" for each in products) + ".")
    return products
