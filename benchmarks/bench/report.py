"""The run as Markdown: ratios with their targets, every row with its spread, the machine without which none counts."""

from collections.abc import Iterable, Sequence

from benchmarks.bench.results import Spread, Turn, spread
from benchmarks.bench.row import Row
from benchmarks.bench.rows import PANELS
from benchmarks.bench.run import Run
from benchmarks.bench.targets import BESIDE, NOISE, TARGETS, Target

BUSY_CORES = 0.15


def markdown(run: Run, plot: str, raw: str) -> str:
    """The whole document; `plot` and `raw` are the names of the files beside it."""
    parts = [_head(run, raw), _targets(run)]
    parts += [_ratios("Further ratios", BESIDE, run), _ratios("Noise: rows against themselves", NOISE, run)]
    if run.turns:
        parts += [f"![Operations a second, with the spread of the rounds]({plot})"]
    parts += [_panel(panel.title, panel.rows, run) for panel in PANELS]
    parts += [_killed(run), _memory(run), _machine(run)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _head(run: Run, raw: str) -> str:
    plan = run.plan
    lines = [
        "# What a reservation costs beside an empty call",
        "Made by `make bench`. Rates are of this machine at that time and no promise; only ratios of rows of one panel"
        " carry over, and of those nothing is established that is no further from 1 than the noise below.",
        f"{plan.rounds} round(s) of {plan.seconds:g} s for each row, in turns, shuffled by seed {plan.seed}; the"
        f" median, with the least and the most. Every turn as it was: [{raw}]({raw}).",
        "After each turn the rows of the database were counted and compared with the answers, exactly, and the checks"
        " of the ledger, holds, lines and alerts found nothing (with 1,000,000 stocks only at the end); after the last"
        " turn of a panel all checks of CheckConsistency found nothing.",
        "CPU of servers is without what they use while nobody calls, which is measured once in each round; where a row"
        " has no server it is blank.",
        "Servers as they ship: validation, errors, one log line a call, no TLS. The empty call and the baselines pass"
        " through the same interceptors in the same process. Durability is on.",
    ]
    if plan.short:
        lines.append(
            "**A quick look:** 500 stocks where 10,000 are meant, and 20,000 where it says 1,000,000."
        )
    lines += [f"**This run is void.** {reason}" for reason in run.void]
    lines += [f"**Left out:** rows of {client}: {reason}." for client, reason in run.left_out.items()]
    return "\n\n".join(lines)


def _targets(run: Run) -> str:
    rows = []
    for target in TARGETS:
        ratio = target.measured(run.turns)
        told = (_figure(ratio, 2), target.verdict(ratio)) if ratio else ("", "not measured")
        rows.append((target.title, target.wanted, *told))
    return _section("Targets", ("ratio", "wanted", "measured", ""), rows)


def _ratios(title: str, ratios: Sequence[Target], run: Run) -> str:
    rows = [
        (target.title, _figure(ratio, 2))
        for target in ratios
        if (ratio := target.measured(run.turns)) is not None
    ]
    return _section(title, ("ratio", "measured"), rows)


def _panel(title: str, rows: Sequence[Row], run: Run) -> str:
    told = [_row(row, turns) for row in rows if (turns := run.turns.get(row.key))]
    told += _idle([turn for row in rows for turn in run.turns.get(row.key, ())])
    head = (
        *("row", "client", "in flight", "a second"),
        *("server CPU, µs", "database CPU, µs", "client CPU, µs"),
        *("p50, ms", "p99, ms", "foreign cores"),
    )
    return _section(title, head, told)


def _row(row: Row, turns: Sequence[Turn]) -> tuple[str, ...]:
    units = row.units

    def each(seconds: float, turn: Turn) -> float:
        return seconds / (turn.load.operations * units) * 1e6

    busy = sum(turn.foreign_cores > BUSY_CORES for turn in turns)
    foreign = spread(turns, lambda turn: turn.foreign_cores)
    return (
        row.title,
        row.client,
        str(row.in_flight or "as they come"),
        _figure(spread(turns, lambda turn: turn.rate * units), 0),
        _server(turns, row),
        f"{spread(turns, lambda turn: each(turn.database_cpu_seconds, turn)).median:,.0f}",
        f"{spread(turns, lambda turn: each(turn.load.client_cpu_seconds, turn)).median:,.0f}",
        *(_latency(turns, name) for name in ("p50", "p99")),
        f"{foreign.median:.2f}" + (f" (**{busy} of {len(turns)} rounds busy**)" if busy else ""),
    )


def _server(turns: Sequence[Turn], row: Row) -> str:
    taken = [figure / row.units for turn in turns if (figure := turn.server_microseconds) is not None]
    return f"{Spread.of(taken).median:,.0f}" if taken else ""


def _idle(turns: Sequence[Turn]) -> list[tuple[str, ...]]:
    """What the servers of a panel use in a second while nobody calls; where rows have different ones, the most."""
    most: dict[int, float] = {}
    for turn in turns:
        if turn.server_cpu_seconds is not None:
            most[turn.round] = max(turn.idle_cores, most.get(turn.round, 0.0))
    if not most:
        return []
    microseconds = Spread.of([cores * 1e6 for cores in most.values()])
    return [("a second in which nobody calls", "none", "0", "", _figure(microseconds, 0), *[""] * 5)]


def _latency(turns: Sequence[Turn], name: str) -> str:
    taken = [figure for turn in turns if (figure := getattr(turn.load, name)) is not None]
    return f"{Spread.of(taken).median:.1f}" if taken else ""


def _killed(run: Run) -> str:
    if not run.killed:
        return ""
    rows = [(name, f"{number:,}") for name, number in run.killed.items()]
    return _section("SIGKILL of one of two servers in mid-run", ("", "count"), rows)


def _memory(run: Run) -> str:
    rows = [(name, f"{mebibytes:,.0f}") for name, mebibytes in run.memory.items()]
    return _section("Memory after its panel, shared pages divided", ("process", "MiB"), rows)


def _machine(run: Run) -> str:
    return _section("Machine", ("", ""), list(run.facts.items()))


def _section(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    rows = list(rows)
    if not rows:
        return ""
    lines = [head, ["---"] * len(head), *rows]
    return f"## {title}\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _figure(figures: Spread, digits: int) -> str:
    middle, least, most = (f"{n:,.{digits}f}" for n in (figures.median, figures.least, figures.most))
    return f"{middle} ({least}–{most})"


def outcome(target: Target, run: Run) -> str:
    """One target in one line, for whoever watches."""
    ratio = target.measured(run.turns)
    if ratio is None:
        return f"{target.title}: not measured"
    verdict = target.verdict(ratio).replace("*", "")
    return f"{target.title}: {_figure(ratio, 2)}, wanted {target.wanted}: {verdict}"
