"""Act four: a package asks for more than there is, and is told every line that falls short."""

from collections.abc import Sequence

from holdfast.delivery.v1 import package_pb2

from devtools.demo.opening import Product
from devtools.demo.scene import Scene, Verdict

TOO_MANY = 100


async def play(scene: Scene, products: Sequence[Product], verdict: Verdict) -> None:
    """Packs too much and shows the refusal; no shelf may have changed."""
    before = {product.sku: await scene.level(product.sku) for product in products}
    package = await scene.pack(
        package_pb2.WORKFLOW_MERCHANT_TO_USER, {product.sku: TOO_MANY for product in products}
    )
    verdict.expect("too much is refused", package.stock_state, package_pb2.STOCK_STATE_REJECTED)
    named = {shortage.sku: shortage.available_quantity for shortage in package.shortages}
    free = {sku: level.free for sku, level in before.items()}
    verdict.expect("every short line is named", named, free)
    after = {product.sku: await scene.level(product.sku) for product in products}
    verdict.expect("a refused package holds nothing", after, before)
    scene.tell(f"Refused, {package.rejection_reason}:")
    names = {product.sku: product.name for product in products}
    for shortage in package.shortages:
        scene.tell(
            f"· {names[shortage.sku]}: {shortage.quantity} wanted, {shortage.available_quantity} there"
        )
