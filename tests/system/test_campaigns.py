"""Campaigns in small: each keeps its promises and meets what it is about. `make chaos` makes them larger."""

from pathlib import Path

import pytest

from chaos.campaign import NOTHING_TRIED, Campaign, Trial
from chaos.campaigns import (
    clock_steps,
    departures,
    drifts,
    failing_statements,
    full_disk,
    fuzz,
    histories,
    idle_connections,
    kill_databases,
    kill_services,
    killed_upgrades,
    linear_history,
    lost_delivery,
    odd_requests,
    outbox,
    overload,
    oversell,
    proxy_faults,
    rolling_stop,
    same_key,
    soak,
    stopped_services,
)

ENGINES = ("postgres", "mysql", "mariadb")
SMALL: list[tuple[Campaign, str, int]] = [
    (oversell.CAMPAIGN, "", 2_000),
    (kill_services.CAMPAIGN, "mysql", 4),
    (kill_services.CAMPAIGN, "mariadb", 4),
    (kill_databases.CAMPAIGN, "mysql", 4),
    (departures.CAMPAIGN, "mysql", 200),
    (same_key.CAMPAIGN, "", 8),
    (outbox.CAMPAIGN, "mariadb", 100),
    (proxy_faults.CAMPAIGN, "mysql", 6),
    *((rolling_stop.CAMPAIGN, engine, 2) for engine in ("", "mysql")),
    (linear_history.CAMPAIGN, "", 2),
    (fuzz.CAMPAIGN, "mysql", 250),
    (odd_requests.CAMPAIGN, "", 20_000),
    *((killed_upgrades.CAMPAIGN, engine, 1) for engine in ENGINES),
    *((failing_statements.CAMPAIGN, engine, 1) for engine in ("postgres", "mysql")),
    (soak.CAMPAIGN, "mysql", 5),
    (overload.CAMPAIGN, "", 3),
    (drifts.CAMPAIGN, "mysql", 1),
    *((idle_connections.CAMPAIGN, engine, 20) for engine in ENGINES),
    (clock_steps.CAMPAIGN, "mysql", 5),
    (full_disk.CAMPAIGN, "mariadb", 5),
    (stopped_services.CAMPAIGN, "mysql", 3),
    (lost_delivery.CAMPAIGN, "mysql", 1),
    *((histories.CAMPAIGN, engine, size) for engine, size in (("postgres", 8), ("mysql", 2), ("mariadb", 2))),
]

SEEDS = (7, 8, 9)
"""So few attempts may by chance meet nothing to withstand; then there is another run."""


@pytest.mark.parametrize(
    ("campaign", "engine", "size"),
    SMALL,
    ids=[f"{campaign.number} {engine}".strip() for campaign, engine, _ in SMALL],
)
async def test_a_campaign_in_small_breaks_no_promise(
    tmp_path: Path, campaign: Campaign, engine: str, size: int
) -> None:
    for seed in SEEDS:
        folder = tmp_path / str(seed)
        folder.mkdir()
        trial = Trial(size, seed, folder, engine)
        await campaign.judge(trial)
        assert [told for told in trial.violations if not told.startswith(NOTHING_TRIED)] == []
        if not trial.violations:
            break

    assert trial.violations == []
    assert trial.attempts >= size
