"""Act three: a package is called off, and its units are free again."""

from holdfast.delivery.v1 import package_pb2

from devtools.demo.opening import Product
from devtools.demo.scene import CALL_SECONDS, Level, Scene, Verdict

UNITS = 5


async def play(scene: Scene, product: Product, verdict: Verdict) -> None:
    """Packs, cancels and compares the shelf."""
    before = await scene.level(product.sku)
    package = await scene.pack(package_pb2.WORKFLOW_MERCHANT_TO_USER, {product.sku: UNITS})
    held = await scene.level(product.sku)
    await scene.delivery.CancelPackage(
        package_pb2.CancelPackageRequest(
            package_sn=package.package_sn,
            reason="the customer changed their mind",
            request_id=f"cancel-{package.package_sn}",
        ),
        metadata=scene.parties.metadata("merchant"),
        timeout=CALL_SECONDS,
    )
    await scene.settled(package.package_sn, package_pb2.STOCK_STATE_RELEASED)
    after = await scene.level(product.sku)
    verdict.expect("a package holds its stock", held, Level(before.quantity, before.reserved + UNITS))
    verdict.expect("a cancelled package gives its stock back", after, before)
    scene.tell(
        f"{product.name}: {before.free} free; packed, {held.free} free; cancelled, {after.free} free again."
    )
