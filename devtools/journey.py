"""A package's way through its workflow, as the people and systems around it would make it go: over gRPC."""

import io
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import grpc
from holdfast.delivery.v1 import delivery_pb2_grpc, evidence_pb2, package_pb2
from PIL import Image

CHUNK_BYTES = 64 * 1024
CALL_SECONDS = 10.0


@dataclass(frozen=True)
class Step:
    """One call that moves a package on: who makes it and which photo proves it."""

    method: str
    role: str
    photo: package_pb2.EvidenceKind.ValueType | None = None


PREPARE = Step("PreparePackage", "merchant", package_pb2.EVIDENCE_KIND_PREPARATION)
CLAIM = Step("ClaimPackage", "driver")
PICK_UP = Step("PickUpPackage", "driver", package_pb2.EVIDENCE_KIND_COLLECTION)
ARRIVE = Step("ArriveAtWarehouse", "driver", package_pb2.EVIDENCE_KIND_ARRIVAL)
RECEIVE = Step("ReceivePackage", "warehouse", package_pb2.EVIDENCE_KIND_RECEIPT)
SHIP = Step("ShipPackage", "warehouse", package_pb2.EVIDENCE_KIND_SHIPPING)
COMPLETE = Step("CompletePackage", "merchant")


def deliver(role: str) -> Step:
    """The hand-over to the user, by whoever has the package."""
    return Step("DeliverPackage", role, package_pb2.EVIDENCE_KIND_DELIVERY)


STEPS: dict[package_pb2.Workflow.ValueType, tuple[Step, ...]] = {
    package_pb2.WORKFLOW_MERCHANT_TO_WAREHOUSE: (PREPARE, RECEIVE, SHIP, deliver("warehouse"), COMPLETE),
    package_pb2.WORKFLOW_MERCHANT_TO_USER: (PREPARE, deliver("merchant"), COMPLETE),
    package_pb2.WORKFLOW_DRIVER_TO_WAREHOUSE: (
        *(PREPARE, CLAIM, PICK_UP, ARRIVE),
        *(RECEIVE, SHIP, deliver("warehouse"), COMPLETE),
    ),
    package_pb2.WORKFLOW_DRIVER_TO_USER: (PREPARE, CLAIM, PICK_UP, deliver("driver"), COMPLETE),
}
"""What happens after a package was created and its stock is held."""

WAREHOUSE_WORKFLOWS = (package_pb2.WORKFLOW_MERCHANT_TO_WAREHOUSE, package_pb2.WORKFLOW_DRIVER_TO_WAREHOUSE)


@dataclass(frozen=True)
class Parties:
    """Who takes part; all ids are decimal."""

    shop_id: str
    warehouse_id: str
    driver_id: str

    def metadata(self, role: str) -> tuple[tuple[str, str], ...]:
        """The call metadata of this role's actor."""
        ids = {"merchant": self.shop_id, "warehouse": self.warehouse_id, "driver": self.driver_id}
        return (("actor-role", role), ("actor-id", ids.get(role, "control-room")))


class Journey:
    """Moves packages of the same parties."""

    def __init__(self, channel: grpc.aio.Channel, parties: Parties) -> None:
        self.delivery = delivery_pb2_grpc.DeliveryServiceStub(channel)
        self.parties = parties

    async def take(self, package_sn: str, step: Step, **fields: Any) -> package_pb2.Package:
        """Proves and makes one step. Safe to repeat: the ids are made from what the step is.

        `fields` are further ones of the request.
        """
        evidence_ids = [await self.upload(package_sn, step.photo, step.role)] if step.photo else []
        request = getattr(package_pb2, f"{step.method}Request")(
            package_sn=package_sn,
            evidence_ids=evidence_ids,
            request_id=f"{package_sn}:{step.method}",
            **fields,
        )
        call: Any = getattr(self.delivery, step.method)
        reply = await call(request, metadata=self.parties.metadata(step.role), timeout=CALL_SECONDS)
        package: package_pb2.Package = reply.package
        return package

    async def upload(self, package_sn: str, kind: package_pb2.EvidenceKind.ValueType, role: str) -> str:
        """Uploads the photo of one step and answers its evidence_id."""
        header = evidence_pb2.EvidenceHeader(
            kind=kind, package_sn=package_sn, file_name=f"{package_sn}.jpg", media_type="image/jpeg"
        )
        reply = await self.delivery.UploadEvidence(
            upload_messages(header, photo(f"{package_sn}:{kind}")),
            metadata=self.parties.metadata(role),
            timeout=CALL_SECONDS,
        )
        return reply.evidence.evidence_id


async def upload_messages(
    header: evidence_pb2.EvidenceHeader, content: bytes, chunk_bytes: int = CHUNK_BYTES
) -> AsyncIterator[evidence_pb2.UploadEvidenceRequest]:
    """The messages of an upload: the header, then the content in chunks."""
    yield evidence_pb2.UploadEvidenceRequest(header=header)
    for start in range(0, len(content), chunk_bytes):
        yield evidence_pb2.UploadEvidenceRequest(chunk=content[start : start + chunk_bytes])


def photo(seed: str) -> bytes:
    """A small JPEG, the same for the same seed and different for any other."""
    chosen = random.Random(seed)
    image = Image.new("RGB", (64, 48), _colour(chosen))
    for _ in range(8):
        left, top = chosen.randrange(56), chosen.randrange(40)
        image.paste(_colour(chosen), (left, top, left + 8, top + 8))
    content = io.BytesIO()
    image.save(content, "JPEG")
    return content.getvalue()


def _colour(chosen: random.Random) -> tuple[int, int, int]:
    return chosen.randrange(256), chosen.randrange(256), chosen.randrange(256)
