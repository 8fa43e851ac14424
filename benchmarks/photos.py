"""Memory of a delivery server while photos come in: of the most bytes, of the most pixels, many at once.

    python -m benchmarks.photos [--results FILE]

Each line is measured by itself: what the server had resident before, and the most while its photos were kept.
"""

import argparse
import asyncio
import io
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import grpc
from holdfast.delivery.v1 import delivery_pb2_grpc, evidence_pb2, order_pb2, package_pb2
from PIL import Image

from benchmarks.delivery_servers import Memory, serving
from devtools.journey import upload_messages

RESULTS = Path(__file__).parent / "results/photos.txt"
HEAD = f"{'photos at once':<44} {'bytes of one':>12} {'seconds':>8} {'before MiB':>11} {'most MiB':>9} {'more':>5}"
MERCHANT = (("actor-role", "merchant"), ("actor-id", "7"))


def noise() -> bytes:
    """Nearly 4 MiB that nothing can pack."""
    return _saved(Image.frombytes("RGB", (1180, 1180), os.urandom(1180 * 1180 * 3)), "PNG", compress_level=1)


def plain(mode: str, size: tuple[int, int], kind: str, **save: object) -> bytes:
    """Few bytes, many pixels."""
    image = Image.new(mode, size, tuple(os.urandom(len(mode))))
    return _saved(image, kind, **save)


def _saved(image: Image.Image, kind: str, **save: object) -> bytes:
    content = io.BytesIO()
    image.save(content, kind, **save)
    return content.getvalue()


STEPS: Sequence[tuple[str, int, Callable[[], bytes]]] = (
    ("1 PNG of 4 MiB", 1, noise),
    ("20 PNG of 4 MiB", 20, noise),
    ("64 PNG of 4 MiB", 64, noise),
    ("20 JPEG of 50 megapixels", 20, lambda: plain("RGB", (10_000, 5_000), "JPEG", quality=20)),
    (
        "20 progressive JPEG of 25 megapixels, CMYK",
        20,
        lambda: plain("CMYK", (5_000, 5_000), "JPEG", quality=20, progressive=True, subsampling=0),
    ),
    ("20 PNG of 25 megapixels, RGBA", 20, lambda: plain("RGBA", (5_000, 5_000), "PNG", compress_level=1)),
    ("20 WebP of 12.5 megapixels", 20, lambda: plain("RGB", (4_000, 3_125), "WEBP", quality=10)),
)


async def package(delivery: "delivery_pb2_grpc.DeliveryServiceAsyncStub") -> str:
    """A package to upload for."""
    item = order_pb2.OrderItem(sku="A", quantity=1)
    order = order_pb2.RegisterOrderRequest(order_id="1", user_id="1", shop_id="7", items=[item])
    await delivery.RegisterOrder(order, timeout=10)
    request = package_pb2.CreatePackageRequest(
        workflow=package_pb2.WORKFLOW_MERCHANT_TO_USER, shop_id="7", order_ids=["1"]
    )
    reply = await delivery.CreatePackage(request, metadata=MERCHANT, timeout=10)
    return reply.package.package_sn


async def upload(
    delivery: "delivery_pb2_grpc.DeliveryServiceAsyncStub", package_sn: str, contents: Sequence[bytes]
) -> None:
    """All at once."""
    header = evidence_pb2.EvidenceHeader(package_sn=package_sn, kind=package_pb2.EVIDENCE_KIND_PREPARATION)
    calls = [
        delivery.UploadEvidence(upload_messages(header, content), metadata=MERCHANT, timeout=60)
        for content in contents
    ]
    await asyncio.gather(*calls)


async def main() -> None:
    """Measures each step and writes what came out."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    lines = [HEAD]
    print(HEAD)
    async with serving("mariadb") as (pair, described), pair.channel(pair.delivery) as channel:
        assert isinstance(channel, grpc.aio.Channel)
        delivery = delivery_pb2_grpc.DeliveryServiceStub(channel)
        package_sn = await package(delivery)
        memory = Memory(pair.delivery.pid)
        for name, count, make in STEPS:
            contents = [make() for _ in range(count)]
            before, began = memory.forget(), time.perf_counter()
            await upload(delivery, package_sn, contents)
            seconds, most = time.perf_counter() - began, memory.most()
            lines.append(
                f"{name:<44} {len(contents[0]):>12} {seconds:>8.1f} {before:>11.0f} {most:>9.0f}"
                f" {most - before:>5.0f}"
            )
            print(lines[-1], flush=True)
    arguments.results.parent.mkdir(exist_ok=True)
    arguments.results.write_text(f"{described}; {os.cpu_count()} cores\n\n" + "\n".join(lines) + "\n")


if __name__ == "__main__":
    asyncio.run(main())
