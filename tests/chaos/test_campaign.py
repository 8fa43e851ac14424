"""A run counts only what it met: without contention, or with a slow recovery, it is a violation."""

import asyncio
import re
from pathlib import Path

import pytest

from chaos.campaign import Campaign, Trial, call_off, percentile, together, told
from chaos.campaigns import CAMPAIGNS


@pytest.mark.parametrize(
    ("met", "recoveries", "violations"),
    [
        (1, [0.5], []),
        (0, [0.5], ["nothing was tried: races lost: 0"]),
        (1, [0.5, 9.0], ["recovery took 9.0 s at the 99th percentile"]),
    ],
)
async def test_a_run_is_judged_by_what_it_met(
    tmp_path: Path, met: int, recoveries: list[float], violations: list[str]
) -> None:
    async def run(trial: Trial) -> None:
        trial.contention["races lost"] += met
        trial.recoveries.extend(recoveries)

    campaign = Campaign(
        1, "races", (1,), "races", 1, 2, run, contention=("races lost",), slowest_recovery=3.0
    )
    trial = Trial(1, 7, tmp_path)
    await campaign.judge(trial)

    assert trial.violations == violations


def test_a_run_ends_with_its_attempts_or_its_time(tmp_path: Path) -> None:
    trial = Trial(2, 7, tmp_path)
    assert trial.more
    trial.attempted(2)
    assert not trial.more

    assert not Trial(2, 7, tmp_path, until=0.0).more


async def test_where_one_fails_the_others_have_ended_before_it_is_told() -> None:
    ended = []

    async def fail() -> None:
        raise ConnectionError("no server")

    async def go_on() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)
            ended.append("tidied up")

    with pytest.raises(ExceptionGroup) as failed:
        await together(go_on(), fail(), go_on())
    assert ended == ["tidied up"] * 2
    assert [repr(error) for error in failed.value.exceptions] == ["ConnectionError('no server')"]


async def test_what_was_called_off_after_it_had_failed_is_told() -> None:
    async def fail() -> None:
        raise ConnectionError("no database")

    going_on, failed = asyncio.create_task(asyncio.sleep(60)), asyncio.create_task(fail())
    await asyncio.sleep(0)

    with pytest.raises(ConnectionError, match="no database"):
        await call_off(going_on, failed)
    assert going_on.cancelled()


@pytest.mark.parametrize(("share", "value"), [(0.5, 2.0), (0.99, 4.0), (1.0, 4.0)])
def test_a_percentile_is_a_value_that_was_seen(share: float, value: float) -> None:
    assert percentile([4.0, 1.0, 3.0, 2.0], share) == value
    assert percentile([], share) == 0.0


def test_no_two_campaigns_count_by_the_same_words() -> None:
    """What is called the same is added up on the page, for each promise."""
    words = sorted(campaign.attempt for campaign in CAMPAIGNS.values())

    assert words == sorted(set(words))


def test_an_assertion_without_words_is_told_by_its_line() -> None:
    with pytest.raises(AssertionError) as failed:
        raise AssertionError

    assert re.fullmatch(r"AssertionError: test_campaign.py:\d+: raise AssertionError", told(failed.value))
    assert told(ValueError("8 of 7")) == "ValueError: 8 of 7"
