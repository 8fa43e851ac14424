"""What OpsService answers, as messages of the contract."""

from holdfast.ops.v1 import ops_pb2 as pb

from servicekit.consistency import Finding, Repair


def finding_message(finding: Finding) -> pb.Finding:
    """What a check found."""
    return pb.Finding(
        check=finding.check, subject=finding.subject, description=finding.description, facts=finding.facts
    )


def repair_message(repair: Repair) -> pb.ReconcileResponse:
    """What was done about it, or would be."""
    return pb.ReconcileResponse(
        finding=finding_message(repair.finding), repair=repair.repair, repaired=repair.repaired
    )
