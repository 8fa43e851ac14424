"""Values for tests of the rules."""

from datetime import UTC, datetime
from typing import Any

from delivery_service.domain.evidence import Evidence, Photo
from delivery_service.domain.package import Package, PackageItem
from delivery_service.domain.package_event import Actor
from delivery_service.domain.workflow import ActorRole, EvidenceKind, PackageState, StockState, Workflow

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SHOP, WAREHOUSE, DRIVER = 1, 2, 3


def owner(role: ActorRole) -> Actor:
    """The actor of this role whose package `a_package` is."""
    own = {ActorRole.MERCHANT: SHOP, ActorRole.WAREHOUSE: WAREHOUSE, ActorRole.DRIVER: DRIVER}
    return Actor(role, str(own.get(role, "anyone")))


def a_package(**fields: Any) -> Package:
    """A pending package of one item, its stock held."""
    given: dict[str, Any] = {
        "package_id": 1,
        "package_sn": "PG1",
        "workflow": Workflow.DRIVER_TO_USER,
        "leg": 0,
        "shop_id": SHOP,
        "warehouse_id": WAREHOUSE,
        "driver_id": None,
        "order_ids": (1,),
        "items": (PackageItem(1, "A", 2),),
        "state": PackageState.PENDING,
        "stock_state": StockState.HELD,
        "create_time": NOW,
        "update_time": NOW,
        "attempt": 1,
        "reservation_id": "PG1:1",
    }
    return Package(**given | fields)


def a_photo(kind: EvidenceKind, **fields: Any) -> Evidence:
    """A fresh photo of PG1."""
    sha256 = fields.pop("sha256", "0" * 64)
    given: dict[str, Any] = {
        "evidence_id": "e1",
        "package_sn": "PG1",
        "kind": kind,
        "file_name": "",
        "photo": Photo(sha256, "image/jpeg", 1, 1, 1, None, None, None),
        "used": False,
        "uploader": "system:anyone",
        "create_time": NOW,
    }
    return Evidence(**given | fields)
