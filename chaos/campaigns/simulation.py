"""Both services in one thread, over a network and stores that fail as a seed says."""

from chaos.campaign import Campaign, Trial, told
from chaos.simulator.simulation import Simulation

STEPS = 1_000


async def run(trial: Trial) -> None:
    """A seed after the other; one that breaks a promise does so again by `--seed`."""
    while trial.more:
        seed = trial.seed + trial.attempts
        simulation = Simulation(seed)
        try:
            simulation.run(STEPS)
        except Exception as broken:
            # Whatever it is, the next seeds are tried.
            trial.violations.append(f"seed {seed}: {told(broken)}")
        trial.faults.update(simulation.faults)
        trial.contention.update(simulation.happened)
        trial.attempted()


CAMPAIGN = Campaign(
    number=10,
    title=f"Simulation of saga, outbox and reservations, {STEPS:,} steps a seed",
    promises=(4, 5, 7, 8, 9, 10, 11, 13, 14, 17, 18),
    attempt="seeds",
    short=100,
    long=1_000,
    run=run,
    with_servers=False,
    simulated=True,
    contention=(
        "packages completed",
        "packages cancelled",
        "ids closed before they were used",
        "calls made again",
    ),
)
