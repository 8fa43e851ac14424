"""python -m chaos.mutants [WORDS]; `make mutants` comes here. WORDS choose the mutants whose titles have them.

First each finder looks at sources without a defect, where it must find nothing; then at each of its mutants, where it
must. What they found is written to docs/mutants.md, if all mutants were tried.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.database import private_server
from chaos.campaign import NOTHING_TRIED
from chaos.mutants.mutant import Finder, Mutant
from chaos.mutants.planted import MUTANTS
from chaos.results import commit
from devtools import interruption
from devtools.console import say
from servicekit.telemetry import logs

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/mutants.md"
SECONDS = 300.0
"""How long a finder may look."""
ENDING_SECONDS = 60.0
"""How long one that looks for too long may take to tidy up."""
HEAD = """# Planted defects

`make mutants` plants each of these into a copy of the sources, and asks whoever should find it. Without a defect none
of them finds anything.

"""


@dataclass(frozen=True)
class Found:
    """What a finder said of a mutant; empty where it found nothing."""

    mutant: Mutant
    said: str


def main(words: list[str] | None = None) -> int:
    """Answers the exit code: 1 where a mutant was not found, or something without one; 2 where no title fits."""
    wanted = " ".join(sys.argv[1:] if words is None else words).lower()
    mutants = [mutant for mutant in MUTANTS if wanted in mutant.title.lower()]
    if not mutants:
        print(f"no mutant has {wanted!r} in its title", file=sys.stderr)
        return 2
    sources = commit()
    with ExitStack() as stack:
        for name in sorted({engine for mutant in mutants for engine in mutant.finder.engines}):
            url, line = stack.enter_context(private_server(name))
            # Where tests look for a server, and where campaigns do.
            os.environ |= {f"HOLDFAST_{use}_{name.upper()}_URL": url for use in ("TEST", "BENCH")}
            say(line)
        for finder in dict.fromkeys(mutant.finder for mutant in mutants):
            if said := _said(finder):
                print(f"{finder.name} finds something without a defect: {said}", file=sys.stderr)
                return 1
        found = [_tried(mutant) for mutant in mutants]
    if len(mutants) == len(MUTANTS):
        PAGE.write_text(page(found, sources))
        say(f"written: {PAGE.name}")
    return 0 if all(each.said for each in found) else 1


def page(found: Sequence[Found], of: str) -> str:
    """A table of all mutants."""
    rows = [
        f"| {each.mutant.title} | `{each.mutant.file}` | {each.mutant.finder.name} | {_cell(each.said)} |"
        for each in found
    ]
    day = datetime.now(UTC).date().isoformat()
    head = ["| defect | in | found by | which said |", "|---|---|---|---|"]
    caught = sum(bool(each.said) for each in found)
    return HEAD + "\n".join([f"{caught} of {len(found)} found, {day}, {of}.", "", *head, *rows]) + "\n"


def _tried(mutant: Mutant) -> Found:
    said = _said(mutant.finder, mutant)
    # That a run met nothing to withstand says nothing of the defect.
    found = Found(mutant, "" if NOTHING_TRIED in said else said)
    say(f"{'✓' if found.said else '✗'} {mutant.title}: {found.said or 'NOT FOUND'}")
    return found


def _said(finder: Finder, mutant: Mutant | None = None) -> str:
    """The first thing that the finder says of a copy of the sources."""
    with tempfile.TemporaryDirectory(prefix="hf-mutant-") as folder:
        copy = Path(folder, "copy")
        _copy(copy)
        if mutant is not None:
            (copy / mutant.file).write_text(mutant.planted(ROOT))
        code, output, errors = _run(finder, copy)
    said = [line for line in (output + errors).splitlines() if line.startswith(finder.tells)]
    if (code != 0) != bool(said):
        raise RuntimeError(f"{finder.name} ended with {code}:\n{output[-2000:]}{errors[-2000:]}")
    return said[0] if said else ""


def _run(finder: Finder, copy: Path) -> tuple[int, str, str]:
    """Its exit code, what it printed, and its errors. Raises RuntimeError where it takes too long.

    Who ends this process ends both.
    """
    # Tests start no servers beside these.
    environment = {**os.environ, "PYTHONPATH": f"{copy}:{copy / 'protos'}", "HOLDFAST_NO_ENGINES": "1"}
    with (
        subprocess.Popen(
            [sys.executable, *finder.words],
            cwd=copy,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
        interruption.passed_on(process),
    ):
        try:
            output, errors = process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
            _await_end(process)
            raise RuntimeError(f"{finder.name} did not end within {SECONDS:g} s") from None
        except KeyboardInterrupt:
            _await_end(process)
            raise
    return process.returncode, output, errors


def _await_end(process: "subprocess.Popen[str]") -> None:
    """Lets it tidy up: a campaign has servers of its own to end."""
    with suppress(subprocess.TimeoutExpired):
        process.communicate(timeout=ENDING_SECONDS)
    process.kill()


def _copy(to: Path) -> None:
    # What is new and not yet known to git as well: what imports it would not start without it.
    words = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in listed.splitlines():
        if (source := ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, to / name)


def _cell(said: str) -> str:
    return said.replace("|", "\\|")[:160] if said else "**nothing**"


if __name__ == "__main__":
    logs.configure("warning")
    sys.exit(interruption.run(main))
