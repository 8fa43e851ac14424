"""What a service's checks find, and what its repairs did about it, as OpsService tells it."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field

from holdfast.ops.v1 import ops_pb2 as pb

from servicekit.rpc.context import Context


@dataclass(frozen=True)
class Finding:
    """A place where two records that must agree do not; `subject` is a sku, a package_sn, an order_id."""

    check: str
    subject: str
    description: str
    facts: Mapping[str, str] = field(default_factory=dict)


ConsistencyCheck = Callable[[], AsyncIterator[Finding]]
"""One check: streams what it finds, in bounded memory."""


@dataclass(frozen=True)
class Repair:
    """What was done about a finding, or would be, or why nothing is."""

    finding: Finding
    repair: str
    repaired: bool


Reconcile = Callable[[pb.ReconcileRequest, Context], AsyncIterator[Repair]]
"""Repairs what the named checks find, all of them where none is named; says itself who may have it done."""
