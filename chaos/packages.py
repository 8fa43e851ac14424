"""What must have become of packages in the end."""

import time
from collections.abc import Mapping

from holdfast.delivery.v1 import package_pb2 as pb

from chaos.campaign import Trial
from tests.support.town import Town

STUCK_SECONDS = 60.0
"""What is not as it should be so long after the last fault is stuck."""


async def require_settled(trial: Trial, town: Town, wanted: Mapping[str, pb.StockState.ValueType]) -> None:
    """By each package_sn, the state that its stock must come to.

    All of them within STUCK_SECONDS: where many are stuck, the campaign ends all the same.
    """
    deadline = time.monotonic() + STUCK_SECONDS
    for package_sn, state in wanted.items():
        try:
            # Each is looked at once, however late it is by then.
            await town.stock_state(package_sn, state, seconds=deadline - time.monotonic())
        except AssertionError as stuck:
            trial.violations.append(str(stuck))
