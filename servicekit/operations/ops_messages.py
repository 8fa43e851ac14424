"""What OpsService answers, as messages of the contract."""

from collections.abc import Mapping, Sequence

from holdfast.ops.v1 import ops_pb2 as pb

from servicekit.operations.consistency import Finding, Repair
from servicekit.operations.diagnostics import Diagnosis, Severity
from servicekit.operations.index_usage import IndexUsage
from servicekit.operations.query_plans import Explained


def diagnoses_message(diagnoses: Mapping[str, Diagnosis]) -> pb.GetDiagnosticsResponse:
    """What every probe saw, and the worst of it."""
    worst = max((diagnosis.severity for diagnosis in diagnoses.values()), default=Severity.OK)
    return pb.GetDiagnosticsResponse(
        severity=worst.value,  # type: ignore[arg-type]
        diagnoses=[
            pb.Diagnosis(
                probe=name,
                severity=diagnosis.severity.value,  # type: ignore[arg-type]
                description=diagnosis.description,
                next_command=diagnosis.next_command,
            )
            for name, diagnosis in diagnoses.items()
        ],
    )


def index_message(usage: IndexUsage) -> pb.IndexUsage:
    """One index; what the engine did not tell is 0 beside the words that say so."""
    return pb.IndexUsage(
        table=usage.table,
        index=usage.index,
        reads=usage.reads or 0,
        size_bytes=usage.size_bytes or 0,
        cardinality=usage.cardinality or 0,
        never_used=usage.reads == 0,
        unknown=usage.unknown,
    )


def plans_message(query: str, explained: Sequence[Explained]) -> pb.ExplainQueryResponse:
    """The plans of a query's statements, in the order in which they are sent; none where it sends none."""
    plans = [pb.ExplainedStatement(statement=each.statement, plan=each.plan) for each in explained]
    first = plans[0] if plans else pb.ExplainedStatement()
    return pb.ExplainQueryResponse(query=query, statement=first.statement, plan=first.plan, further=plans[1:])


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
