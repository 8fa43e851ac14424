"""The simulator: histories that keep every promise, are made again by their seed, and find what is broken."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from chaos.campaign import Trial
from chaos.campaigns import simulation as campaign
from chaos.simulator import invariants
from chaos.simulator.shelves import Shelves
from chaos.simulator.simulation import InvariantBroken, Simulation

SEEDS, STEPS = 100, 150


async def test_a_hundred_seeds_keep_every_promise(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.setattr(campaign, "STEPS", STEPS)
    trial = Trial(SEEDS, 1, tmp_path_factory.getbasetemp())

    await campaign.CAMPAIGN.judge(trial)

    assert trial.violations == []
    assert min(trial.faults.values()) > SEEDS / 10
    assert {"packages completed", "packages cancelled", "holds expired"} <= trial.contention.keys()


def test_a_seed_makes_the_same_history_again() -> None:
    histories = [Simulation(7), Simulation(7), Simulation(8)]
    for history in histories:
        history.run(400)

    first, again, other = [(history.faults, history.happened) for history in histories]
    assert first == again != other


def test_what_may_never_be_ends_a_history_and_is_told_with_its_seed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def never(before: Shelves, after: Shelves) -> Iterator[str]:
        yield "A: 7 of 6 units are held"

    monkeypatch.setattr(invariants, "of_shelves", never)

    with pytest.raises(InvariantBroken, match="A: 7 of 6 units are held"):
        Simulation(7).run(100)


def test_a_late_copy_that_changes_something_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    history = Simulation(7)
    monkeypatch.setattr(history._post, "arrive_again", history._receive_goods)

    with pytest.raises(InvariantBroken, match="a late copy of a request changed something"):
        history.run(100)


def test_levels_that_disagree_with_the_ledger_and_the_holds_are_found() -> None:
    shelves = Shelves()
    shelves.put("A", 6)
    assert list(invariants.of_shelves(shelves, shelves)) == []

    shelves.levels["A"] = replace(shelves.levels["A"], quantity=5, reserved_quantity=2)

    assert list(invariants.of_shelves(shelves, shelves)) == [
        "A: 5 units, the ledger has 6",
        "A: 2 units held, the holds have 0",
    ]


def test_a_package_that_goes_back_and_a_command_that_is_missing_are_found() -> None:
    history = Simulation(7)
    history.run(300)
    before = history.parcels
    after = before.copy()
    package = next(each for each in before.packages.values() if each.state is not each.state.PENDING)
    after.packages[package.package_sn] = replace(package, state=package.state.PENDING)
    first = next(iter(after.outbox))
    after.outbox[first] = replace(after.outbox[first], package_version=9)

    found = list(invariants.of_parcels(before, after))

    assert any("went back" in each or "was not the end" in each for each in found)
    assert any("a command is missing" in each for each in found)
