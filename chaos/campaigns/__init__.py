"""Every campaign, by its number."""

from collections.abc import Mapping

from chaos.campaign import Campaign
from chaos.campaigns import (
    clock_steps,
    crash_points,
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
    simulation,
    soak,
    stopped_services,
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
        killed_upgrades.CAMPAIGN,
        failing_statements.CAMPAIGN,
        drifts.CAMPAIGN,
        idle_connections.CAMPAIGN,
        clock_steps.CAMPAIGN,
        full_disk.CAMPAIGN,
        stopped_services.CAMPAIGN,
        histories.CAMPAIGN,
        odd_requests.CAMPAIGN,
        lost_delivery.CAMPAIGN,
    )
}
