"""What a soak says of a process: nothing of one that stays as it was, and whatever it has more and more of."""

from pathlib import Path

import pytest

from chaos.campaign import Trial
from chaos.campaigns.soak import CAMPAIGN, judge_process
from chaos.observed import Look


def look(second: int, megabytes: float = 0, descriptors: int = 0, tasks: int = 0, sessions: int = 0) -> Look:
    """What a process has in hand that has so much more of something at the end.

    Every other look meets calls, and towards the end some meet the probes' connections.
    """
    share, of_calls = second / CAMPAIGN.long, 30 * (second % 2)
    of_probes = 9 if share > 0.8 and second % 50 == 0 else 0
    return Look(
        second,
        100 + share * megabytes,
        40 + of_probes + int(share * descriptors),
        20 + of_calls + int(share * tasks),
        12 + of_probes + int(share * sessions),
    )


@pytest.mark.parametrize(
    ("growing", "said"),
    [
        ({}, []),
        ({"megabytes": 4}, ["inventory: 3.2 MiB more at last than at first"]),
        ({"descriptors": 12}, ["inventory: 43 descriptors at first, 50 at last"]),
        ({"tasks": 12}, ["inventory: 22 tasks at first, 29 at last"]),
        ({"sessions": 12}, ["inventory: 15 sessions at first, 22 at last"]),
    ],
)
def test_what_a_process_has_more_and_more_of_is_found(
    tmp_path: Path, growing: dict[str, int], said: list[str]
) -> None:
    trial = Trial(CAMPAIGN.long, 7, tmp_path)
    looks = [look(second, **growing) for second in range(CAMPAIGN.long)]

    judge_process(trial, "inventory", looks, 0.0, float(CAMPAIGN.long))

    assert trial.violations == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (CAMPAIGN.long, ["inventory: nobody looked at it when it was to be judged"]),
        # Ended by its time: nothing is said of so short a run.
        (10, []),
    ],
)
def test_a_process_that_nobody_looked_at_is_not_taken_for_one_that_stays_as_it_was(
    tmp_path: Path, seconds: int, said: list[str]
) -> None:
    trial = Trial(CAMPAIGN.long, 7, tmp_path)
    looks = [look(second) for second in range(seconds // 3)]

    judge_process(trial, "inventory", looks, 0.0, float(seconds))

    assert trial.violations == said
