"""How many packages go which way, on the wire."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from holdfast.delivery.v1 import package_pb2 as pb

from delivery_service.domain.workflow import PackageState, Workflow
from delivery_service.rpc.messages.words import STATES, WORKFLOWS, number


def distribution_message(
    packages: Iterable[tuple[Workflow, PackageState, int]], orders: Mapping[Workflow, int]
) -> pb.GetWorkflowDistributionResponse:
    """The share of every workflow, also of those that no package has."""
    states: defaultdict[Workflow, Counter[PackageState]] = defaultdict(Counter)
    for workflow, state, count in packages:
        states[workflow][state] += count
    return pb.GetWorkflowDistributionResponse(
        workflows=[
            pb.WorkflowShare(
                workflow=number(WORKFLOWS, workflow),
                packages=sum(states[workflow].values()),
                orders=orders.get(workflow, 0),
                states=[
                    pb.StateCount(state=number(STATES, state), packages=states[workflow][state])
                    for state in PackageState
                    if state in states[workflow]
                ],
            )
            for workflow in Workflow
        ]
    )
