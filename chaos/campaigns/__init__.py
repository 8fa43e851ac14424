"""Every campaign, by its number."""

from collections.abc import Mapping

from chaos.campaign import Campaign
from chaos.campaigns import (
    crash_points,
    kill_databases,
    kill_services,
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
    )
}
