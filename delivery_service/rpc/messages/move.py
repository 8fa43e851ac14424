"""Verbs and the timeline on the wire."""

from collections.abc import Mapping, Sequence

from holdfast.delivery.v1 import package_pb2 as pb

from delivery_service.application.move_package import MovePackage
from delivery_service.application.retry_reservation import RetryReservation
from delivery_service.domain.evidence import Evidence
from delivery_service.domain.move import Move
from delivery_service.domain.package import Package
from delivery_service.domain.package_event import Actor, PackageEvent
from delivery_service.domain.transitions import Explanation
from delivery_service.domain.workflow import ActorRole, Verb
from delivery_service.rpc.messages.evidence import proof_message
from delivery_service.rpc.messages.words import (
    EVIDENCE_KINDS,
    ROLES,
    STATES,
    VERBS,
    number,
    optional_id,
)
from servicekit.rpc import etags
from servicekit.rpc.error_status import reason
from servicekit.rpc.paging import Page, requested_page
from servicekit.rpc.times import timestamp
from servicekit.rpc.validation import Violations

MoveRequest = (
    pb.PreparePackageRequest
    | pb.ClaimPackageRequest
    | pb.ReleaseClaimRequest
    | pb.AssignDriverRequest
    | pb.PickUpPackageRequest
    | pb.ArriveAtWarehouseRequest
    | pb.ReceivePackageRequest
    | pb.ShipPackageRequest
    | pb.DeliverPackageRequest
    | pb.CompletePackageRequest
    | pb.CancelPackageRequest
)

MOST_EVIDENCE = 10
MOST_NOTE = 1000


def move_package(request: MoveRequest, verb: Verb, actor: Actor, trace: str) -> MovePackage:
    """The command of any verb: their requests have the same fields, CancelPackage a reason for its note."""
    with Violations() as v:
        v.request_id(request.request_id)
        package_sn = v.name("package_sn", request.package_sn)
        if isinstance(request, pb.CancelPackageRequest):
            note = v.text("reason", request.reason, most=MOST_NOTE, required=True)
        else:
            note = v.text("note", request.note, most=MOST_NOTE)
        driver_id = None
        if isinstance(request, pb.AssignDriverRequest):
            driver_id = v.decimal_id("driver_id", request.driver_id)
        elif verb is Verb.CLAIM and actor.role is ActorRole.DRIVER:
            driver_id = v.decimal_id("actor-id", actor.actor_id)
        move = Move(
            verb=verb,
            actor=actor,
            evidence_ids=_evidence_ids(v, request.evidence_ids),
            note=note,
            driver_id=driver_id,
            expected_version=etags.version(v, "etag", request.etag),
        )
        return MovePackage(package_sn, move, trace)


def retry_reservation(request: pb.RetryReservationRequest, actor: Actor, trace: str) -> RetryReservation:
    """The command of a RetryReservation."""
    with Violations() as v:
        v.request_id(request.request_id)
        return RetryReservation(
            package_sn=v.name("package_sn", request.package_sn),
            actor=actor,
            expected_version=etags.version(v, "etag", request.etag),
            trace=trace,
        )


def list_package_events(request: pb.ListPackageEventsRequest) -> tuple[str, Page]:
    """What a ListPackageEvents asks for."""
    with Violations() as v:
        wanted = v.name("package_sn", request.package_sn)
        page = requested_page(v, request)
        return wanted, page


def transitions_message(
    package: Package, explanations: list[Explanation]
) -> pb.ListAllowedTransitionsResponse:
    """What an actor may do, and why not the rest."""
    return pb.ListAllowedTransitionsResponse(
        transitions=[
            pb.AllowedTransition(
                verb=number(VERBS, explanation.verb),
                to_state=number(STATES, explanation.target),
                evidence_kind=number(EVIDENCE_KINDS, explanation.evidence),
                allowed=explanation.refusal is None,
                reason=reason(explanation.refusal) if explanation.refusal else "",
                description=str(explanation.refusal or ""),
            )
            for explanation in explanations
        ],
        state=number(STATES, package.state),
        etag=etags.etag(package.version),
    )


def event_message(event: PackageEvent, photos: Mapping[str, Evidence]) -> pb.PackageEvent:
    """One event on the wire, with those of its photos that are known."""
    return pb.PackageEvent(
        sequence=event.sequence,
        verb=number(VERBS, event.verb),
        from_state=number(STATES, event.from_state),
        to_state=number(STATES, event.to_state),
        actor_role=number(ROLES, event.actor.role),
        actor_id=event.actor.actor_id,
        driver_id=optional_id(event.driver_id),
        evidence_ids=event.evidence_ids,
        note=event.note,
        create_time=timestamp(event.create_time),
        proofs=[proof_message(photos[photo]) for photo in event.evidence_ids if photo in photos],
    )


def _evidence_ids(v: Violations, evidence_ids: Sequence[str]) -> tuple[str, ...]:
    v.count("evidence_ids", len(evidence_ids), most=MOST_EVIDENCE)
    ids = list(evidence_ids[:MOST_EVIDENCE])
    for index, evidence_id in enumerate(ids):
        v.name(f"evidence_ids[{index}]", evidence_id)
        if evidence_id in ids[:index]:
            v.add(f"evidence_ids[{index}]", "is in the list twice")
    return tuple(ids)
