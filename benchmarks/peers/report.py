"""The run as a page for people and as raw rounds for programs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.bench.results import Spread
from benchmarks.peers.rounds import ATTEMPTS, CALLERS, LAST_UNITS, Measured, Panel, Turn
from benchmarks.peers.sides import Side

BASELINE = "three statements"
OURS = "holdfast"
MUCH_FOREIGN_CPU = 0.15

HEAD = """\
# holdfast beside what else one could take

Written by `make bench-peers`; the raw rounds are in [peers.json](peers.json). {callers} callers of each side reserve \
one unit again and again. All sides took turns in one run, in an order shuffled in each of {rounds} rounds \
(seed {seed}), over one private Postgres with durability on. After every turn the side's database was asked: units \
counted as sold = units in rows of reservations = units accepted <= units there, or the turn is void. **Only ratios \
carry over**; rates are of this machine, on which client, server and database share the cores.
"""


def write(
    folder: Path,
    facts: Mapping[str, str],
    panels: Sequence[Panel],
    measured: Measured,
    absent: Mapping[str, str],
    findings: Sequence[str],
) -> None:
    """Writes peers.md and peers.json."""
    folder.mkdir(parents=True, exist_ok=True)
    raw = {
        "facts": facts,
        "seed": measured.seed,
        "absent": absent,
        "findings": findings,
        "turns": [asdict(turn) for turn in measured.turns],
    }
    (folder / "peers.json").write_text(json.dumps(raw, indent=1) + "\n")
    (folder / "peers.md").write_text(page(facts, panels, measured, absent, findings))


def page(
    facts: Mapping[str, str],
    panels: Sequence[Panel],
    measured: Measured,
    absent: Mapping[str, str],
    findings: Sequence[str],
) -> str:
    """The page."""
    rounds = max(turn.round for turn in measured.turns) + 1
    parts = [HEAD.format(callers=CALLERS, rounds=rounds, seed=measured.seed)]
    parts += [_rates(panel, measured) for panel in panels if not panel.attempts and panel.sides]
    parts.append(_last_units([panel for panel in panels if panel.attempts], measured))
    parts.append(_validity(measured, findings))
    parts.append(_sides(panels, absent))
    parts.append(
        "\n".join(["## The machine", "", *(f"- {name}: {value}" for name, value in facts.items()), ""])
    )
    return "\n".join(parts)


def _rates(panel: Panel, measured: Measured) -> str:
    lines = [f"## {panel.title}", ""]
    lines += [
        "| side | units a second, median | least … most | ÷ three statements | holdfast ÷ it | failed |"
    ]
    lines += ["|---|--:|--:|--:|--:|--:|"]
    # Sides of many units a call are compared with those of one of the same round.
    beside = measured.by_side(panel.key)
    beside = beside if OURS in beside else measured.by_side("hot")
    for side in panel.sides:
        if not (turns := measured.by_side(panel.key).get(side.about.name)):
            continue
        rate = Spread.of([turn.outcome.rate for turn in turns])
        failed = sum(sum(turn.outcome.failures.values()) for turn in turns)
        lines.append(
            f"| {side.about.name} | {rate.median:,.0f} | {rate.least:,.0f} … {rate.most:,.0f} |"
            f" {_ratio(turns, beside.get(BASELINE))} |"
            f" {_ratio(beside.get(OURS), turns)} | {failed:,} |"
        )
    return "\n".join([*lines, ""])


def _ratio(over: Sequence[Turn] | None, under: Sequence[Turn] | None) -> str:
    """The median of the ratios of turns of one round each, so that the machine's mood strikes both."""
    others = {turn.round: turn.outcome.rate for turn in under or ()}
    # A side that stopped has no turn in later rounds, one that never succeeded no rate to divide by.
    ratios = [turn.outcome.rate / others[turn.round] for turn in over or () if others.get(turn.round)]
    return f"{Spread.of(ratios).median:.2f}" if ratios else "–"


def _last_units(panels: Sequence[Panel], measured: Measured) -> str:
    lines = [
        f"## {LAST_UNITS} units for {CALLERS} callers",
        "",
        f"Each of {CALLERS} callers asks {ATTEMPTS} times for one of {LAST_UNITS} units, all at once.",
        "",
        "| side | told that they got one, each round | rows of reservations | counted as sold |",
        "|---|--:|--:|--:|",
    ]
    for panel in panels:
        for side in panel.sides:
            if not (turns := measured.by_side(panel.key).get(side.about.name)):
                continue
            accepted, rows, counted = (
                ", ".join(str(figure) for figure in figures)
                for figures in zip(
                    *((turn.outcome.accepted, turn.books.rows, turn.books.counted) for turn in turns),
                    strict=True,
                )
            )
            lines.append(f"| {side.about.name} | {accepted} | {rows} | {counted} |")
    return "\n".join([*lines, ""])


def _validity(measured: Measured, findings: Sequence[str]) -> str:
    lines = ["## What may be doubted", ""]
    lines += [
        f"- VOID: {turn.side}, {turn.panel}, round {turn.round + 1}: {turn.wrong}." for turn in measured.void
    ]
    lines += [f"- VOID: CheckConsistency of holdfast found {finding}" for finding in findings]
    if len(lines) == 2:
        lines.append(
            "- No turn is void: no side sold more than there was where it is meant not to, and CheckConsistency of"
            " holdfast found nothing."
        )
    words: dict[str, int] = {}
    for turn in measured.turns:
        for failure, times in turn.outcome.failures.items():
            words[f"{turn.side}: {failure}"] = words.get(f"{turn.side}: {failure}", 0) + times
    lines += [f"- failed {times:,} times: {words_}" for words_, times in sorted(words.items())]
    noisy = [turn for turn in measured.turns if turn.foreign_cores > MUCH_FOREIGN_CPU]
    lines.append(
        f"- Others kept more than {MUCH_FOREIGN_CPU} cores busy in {len(noisy)} of {len(measured.turns)} turns (at most"
        f" {max(turn.foreign_cores for turn in measured.turns):.2f} cores). Foreign disk traffic is not seen."
    )
    lines.append(
        "- The peers and the three statements are called in their own process, without a network; holdfast is called"
        " over gRPC by a Python client, whose own work is in its figure."
    )
    return "\n".join([*lines, ""])


def _sides(panels: Sequence[Panel], absent: Mapping[str, str]) -> str:
    lines = ["## The sides", "", "| side | versions | configuration | lacks |", "|---|---|---|---|"]
    sides: dict[str, Side] = {side.about.name: side for panel in panels for side in panel.sides}
    for side in sides.values():
        about = side.about
        lines.append(f"| {about.name} | {about.versions} | {about.configuration} | {about.lacks or '–'} |")
    lines += [
        f"| {name} | took no part, or not to the end | {reason} | – |" for name, reason in absent.items()
    ]
    return "\n".join([*lines, ""])
