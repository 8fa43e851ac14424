"""Every campaign, by its number."""

from collections.abc import Mapping

from chaos.campaign import Campaign
from chaos.campaigns import (
    crash_points,
    departures,
    fuzz,
    kill_databases,
    kill_services,
    linear_history,
    outbox,
    overload,
    oversell,
    proxy_faults,
    rolling_stop,
    same_key,
    simulation,
    soak,
)

CAMPAIGNS: Mapping[int, Campaign] = {
    campaign.number: campaign
    for campaign in (
        oversell.CAMPAIGN,
        kill_services.CAMPAIGN,
        kill_databases.CAMPAIGN,
        crash_points.CAMPAIGN,
        departures.CAMPAIGN,
        same_key.CAMPAIGN,
        outbox.CAMPAIGN,
        proxy_faults.CAMPAIGN,
        rolling_stop.CAMPAIGN,
        simulation.CAMPAIGN,
        linear_history.CAMPAIGN,
        fuzz.CAMPAIGN,
        soak.CAMPAIGN,
        overload.CAMPAIGN,
    )
}

NOT_YET: Mapping[int, str] = {
    12: "migrations that are killed at each statement",
    14: "an error at every statement of every call",
    17: "reconciliation after every campaign",
    18: "idle connections that are killed",
}
"""What has no campaign yet; much of it is tried by tests."""
