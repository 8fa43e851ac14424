"""The contract's enum values and the domain's words, which bear the same names."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, TypeVar

from holdfast.delivery.v1 import evidence_pb2, order_pb2, package_pb2

from delivery_service.domain.evidence import PhotoCondition
from delivery_service.domain.workflow import (
    ActorRole,
    EvidenceKind,
    OrderStatus,
    PackageState,
    StockState,
    Verb,
    Workflow,
)

Word = TypeVar("Word", bound=StrEnum)


def _values(enum: Any, prefix: str, words: type[Word]) -> Mapping[int, Word]:
    return {enum.Value(f"{prefix}_{word.name}"): word for word in words}


WORKFLOWS = _values(package_pb2.Workflow, "WORKFLOW", Workflow)
STATES = _values(package_pb2.PackageState, "PACKAGE_STATE", PackageState)
STOCK_STATES = _values(package_pb2.StockState, "STOCK_STATE", StockState)
VERBS = _values(package_pb2.Verb, "VERB", Verb)
PHOTO_CONDITIONS = _values(evidence_pb2.PhotoCondition, "PHOTO_CONDITION", PhotoCondition)
EVIDENCE_KINDS = _values(package_pb2.EvidenceKind, "EVIDENCE_KIND", EvidenceKind)
ROLES = _values(package_pb2.ActorRole, "ACTOR_ROLE", ActorRole)
ORDER_STATUSES = _values(order_pb2.OrderStatus, "ORDER_STATUS", OrderStatus)


def number(values: Mapping[int, Word], word: Word | None) -> Any:
    """The contract's value for a word; 0, unspecified, for None."""
    return 0 if word is None else next(value for value, known in values.items() if known is word)


def optional_id(value: int | None) -> str:
    """An id on the wire; empty for none."""
    return "" if value is None else str(value)
