"""What a repair meets between the finding and its turn."""

import hashlib
from datetime import timedelta

from delivery_service.application.consistency_ports import Drift, Inconsistency
from delivery_service.application.reconcile import Reconciler, Repaired
from delivery_service.application.repairing import Operator
from delivery_service.domain.evidence import photo_name
from delivery_service.domain.package_event import Actor
from delivery_service.domain.workflow import ActorRole
from delivery_service.gateways.photo_reader import PillowPhotoReader
from delivery_service.gateways.photo_store import FsspecPhotoStore
from delivery_service.persistence.unit_of_work import SqlUnitOfWork
from servicekit.persistence.transactions import Transactions
from tests.delivery_service.client import Delivery
from tests.delivery_service.conftest import Running


async def test_sound_bytes_that_are_no_picture_are_left_to_people(
    delivery: Delivery, running: Running
) -> None:
    await delivery.quiet()
    sha256 = hashlib.sha256(b"no picture").hexdigest()
    file = running.photos / photo_name(sha256, "e1")
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(b"no picture")
    reconciler = Reconciler(
        Transactions(running.engine, SqlUnitOfWork),
        running.inventory,
        FsspecPhotoStore(str(running.photos)),
        PillowPhotoReader(),
        timedelta(0),
        Operator(Actor(ActorRole.SYSTEM, "tests"), "", ""),
        validate_only=False,
    )
    before = await delivery.everything()

    repaired = await reconciler.repair("photos", Inconsistency(Drift.RECORD, "e1", "", {"sha256": sha256}))

    why = "left to people: the content is not a whole JPEG, PNG or WebP picture"
    assert repaired == Repaired(why, done=False)
    assert await delivery.everything() == before
