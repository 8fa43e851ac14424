"""What is known of a stock beside its numbers."""

import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import islice
from uuid import UUID

from google.protobuf.field_mask_pb2 import FieldMask
from holdfast.inventory.v1 import stock_pb2 as pb

from inventory_service.domain.stock import StockDetails
from servicekit.rpc.times import timestamp
from servicekit.rpc.validation import Violations

MOST_PAIRS = 50

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)
_DATES = {"purchase_time": "purchase_date", "delivery_time": "delivery_date"}
_EAN = re.compile(r"[0-9]{8,13}", re.ASCII)


def stock_details(v: Violations, path: str, message: pb.StockDetails) -> StockDetails:
    """The details in a request; `path` is the field that bears them."""

    def text(name: str, most: int) -> str | None:
        return v.text(f"{path}.{name}", getattr(message, name), most=most) or None

    def amount(name: str, digits: int) -> Decimal | None:
        return decimal(v, f"{path}.{name}", getattr(message, name), digits)

    return StockDetails(
        product_id=uuid(v, f"{path}.product_id", message.product_id),
        size_id=uuid(v, f"{path}.size_id", message.size_id),
        supplier_id=uuid(v, f"{path}.supplier_id", message.supplier_id),
        ean=_ean(v, f"{path}.ean", message.ean),
        purchase_price=amount("purchase_price", 8),
        gross_purchase_price=amount("gross_purchase_price", 8),
        vat_amount=amount("vat_amount", 8),
        vat_rate=amount("vat_rate", 3),
        purchase_date=v.instant(f"{path}.purchase_time", message.purchase_time)
        if message.HasField("purchase_time")
        else None,
        delivery_date=v.instant(f"{path}.delivery_time", message.delivery_time)
        if message.HasField("delivery_time")
        else None,
        detailed_status=text("detailed_status", 50),
        notes=text("notes", 5000),
        location=text("location", 50),
        external_ids=pairs(v, f"{path}.external_ids", dict(message.external_ids)),
    )


def changed_details(v: Violations, message: pb.StockDetails, update_mask: FieldMask) -> Mapping[str, object]:
    """The values that the mask names, by the domain's names; an empty value clears."""
    return chosen_details(v, message, details_mask(v, "update_mask", update_mask))


def chosen_details(v: Violations, message: pb.StockDetails, fields: Iterable[str]) -> Mapping[str, object]:
    """The values of these fields of the contract, by the domain's names; an empty value clears."""
    details = stock_details(v, "details", message)
    return {name: getattr(details, name) for name in (_DATES.get(field, field) for field in fields)}


def given_details(v: Violations, message: pb.StockDetails) -> Mapping[str, object]:
    """The values of the fields that are not empty, by the domain's names."""
    return chosen_details(v, message, [field.name for field, _ in message.ListFields()])


def details_mask(v: Violations, path: str, mask: FieldMask) -> set[str]:
    """The fields of details that a required mask names; `path` is the field that bears it."""
    return field_mask(v, mask, [field.name for field in pb.StockDetails.DESCRIPTOR.fields], path)


def field_mask(v: Violations, mask: FieldMask, known: Sequence[str], path: str = "update_mask") -> set[str]:
    """The known fields that a required mask names."""
    v.count(f"{path}.paths", len(mask.paths), least=1, most=len(known))
    for index, name in enumerate(mask.paths[: len(known)]):
        if name not in known:
            v.add(f"{path}.paths[{index}]", f"must be one of {', '.join(known)}")
    return set(mask.paths) & set(known)


def details_of(details: StockDetails) -> pb.StockDetails:
    """The details as callers see them."""
    return pb.StockDetails(
        product_id=_shown(details.product_id),
        size_id=_shown(details.size_id),
        supplier_id=_shown(details.supplier_id),
        ean=details.ean or "",
        purchase_price=_shown(details.purchase_price),
        gross_purchase_price=_shown(details.gross_purchase_price),
        vat_amount=_shown(details.vat_amount),
        vat_rate=_shown(details.vat_rate),
        purchase_time=timestamp(details.purchase_date),
        delivery_time=timestamp(details.delivery_date),
        detailed_status=details.detailed_status or "",
        notes=details.notes or "",
        location=details.location or "",
        external_ids=details.external_ids,
    )


def uuid(v: Violations, field: str, value: str) -> UUID | None:
    """A UUID, or None where it is empty."""
    if not value:
        return None
    if _UUID.fullmatch(value) is None:
        v.add(field, "must be a UUID such as 123e4567-e89b-12d3-a456-426614174000")
        return None
    return UUID(value)


def _ean(v: Violations, field: str, value: str) -> str | None:
    if value and _EAN.fullmatch(value) is None:
        v.add(field, "must be 8 to 13 digits")
    return value or None


def decimal(v: Violations, field: str, value: str, digits: int) -> Decimal | None:
    """An amount, or None where it is empty; at most `digits` digits before the point and 2 after."""
    if not value:
        return None
    if re.fullmatch(rf"[0-9]{{1,{digits}}}(\.[0-9]{{1,2}})?", value, re.ASCII) is None:
        v.add(field, f"must be a decimal number of at most {digits} digits before and 2 after the point")
        return None
    return Decimal(value)


def pairs(v: Violations, field: str, given: dict[str, str]) -> dict[str, str]:
    """At most 50 pairs of at most 64 and 256 characters."""
    v.count(field, len(given), most=MOST_PAIRS)
    for key, value in islice(given.items(), MOST_PAIRS):
        v.text(f"{field}.key", key, most=64, required=True)
        v.text(f"{field}[{key!r}]", value, most=256)
    return given


def _shown(value: UUID | Decimal | None) -> str:
    return "" if value is None else str(value)
