"""Every campaign, by its number."""

from collections.abc import Mapping

from chaos.campaign import Campaign
from chaos.campaigns import (
    crash_points,
    failing_statements,
    full_disk,
    idle_connections,
    kill_databases,
    kill_services,
    killed_upgrades,
    linear_history,
    oversell,
    proxy_faults,
    rolling_stop,
    same_key,
    simulation,
)

CAMPAIGNS: Mapping[int, Campaign] = {
    campaign.number: campaign
    for campaign in (
        oversell.CAMPAIGN,
        kill_services.CAMPAIGN,
        kill_databases.CAMPAIGN,
        crash_points.CAMPAIGN,
        same_key.CAMPAIGN,
        proxy_faults.CAMPAIGN,
        rolling_stop.CAMPAIGN,
        simulation.CAMPAIGN,
        linear_history.CAMPAIGN,
        killed_upgrades.CAMPAIGN,
        failing_statements.CAMPAIGN,
        idle_connections.CAMPAIGN,
        full_disk.CAMPAIGN,
    )
}

NOT_YET: Mapping[int, str] = {
    5: "callers that leave, in storms",
    7: "the outbox with 16 writers, 4 relays and poison",
    13: "fuzzed requests",
    15: "soak",
    16: "overload",
    17: "reconciliation after every campaign",
}
"""What has no campaign yet; much of it is tried by tests."""
