"""Packs an order and proves it by a photo, with asyncio: python examples/prepare_package.py ORDER_ID SHOP_ID PHOTO."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
from holdfast import client
from holdfast.delivery.v1 import delivery_pb2_grpc, evidence_pb2, package_pb2

CHUNK_BYTES = 64 * 1024


async def upload(package_sn: str, photo: bytes) -> AsyncIterator[evidence_pb2.UploadEvidenceRequest]:
    """What the photo proves, then its bytes."""
    header = evidence_pb2.EvidenceHeader(package_sn=package_sn, kind=package_pb2.EVIDENCE_KIND_PREPARATION)
    yield evidence_pb2.UploadEvidenceRequest(header=header)
    for start in range(0, len(photo), CHUNK_BYTES):
        yield evidence_pb2.UploadEvidenceRequest(chunk=photo[start : start + CHUNK_BYTES])


async def main(order_id: str, shop_id: str, photo: bytes) -> None:
    merchant = (("actor-role", "merchant"), ("actor-id", shop_id))
    async with client.aio_channel(os.environ["DELIVERY_ADDRESS"]) as channel:
        delivery = delivery_pb2_grpc.DeliveryServiceStub(channel)
        create = package_pb2.CreatePackageRequest(
            workflow=package_pb2.WORKFLOW_MERCHANT_TO_USER, shop_id=shop_id, order_ids=[order_id]
        )
        package = (await delivery.CreatePackage(create, metadata=merchant)).package
        print(package_pb2.StockState.Name(package.stock_state))

        prepare = package_pb2.PreparePackageRequest(package_sn=package.package_sn)
        try:
            await delivery.PreparePackage(prepare, metadata=merchant)
        except grpc.aio.AioRpcError as error:
            print("refused:", error.details())

        # The channel gives streams no deadline; without one the server ends an upload after 10 s.
        chunks = upload(package.package_sn, photo)
        proof = await delivery.UploadEvidence(chunks, metadata=merchant, timeout=60)
        prepare.evidence_ids.append(proof.evidence.evidence_id)
        prepared = (await delivery.PreparePackage(prepare, metadata=merchant)).package
        print(package_pb2.PackageState.Name(prepared.state))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3]).read_bytes()))
