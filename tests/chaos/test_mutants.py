"""The mutants still fit the sources, and a finder that finds nothing, or falls, is told."""

import ast
import subprocess
from pathlib import Path

import pytest

from chaos.mutants import __main__ as command
from chaos.mutants.mutant import Finder, Mutant
from chaos.mutants.planted import MUTANTS

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.title)
def test_a_mutant_fits_its_file_and_changes_what_it_does(mutant: Mutant) -> None:
    planted = ast.dump(ast.parse(mutant.planted(ROOT)))

    assert planted != ast.dump(ast.parse((ROOT / mutant.file).read_text()))


def test_there_are_at_least_twelve_of_them_found_in_different_ways() -> None:
    assert len({mutant.title for mutant in MUTANTS}) == len(MUTANTS) >= 12
    assert len({mutant.finder.name for mutant in MUTANTS}) >= 5


def test_a_mutant_of_words_that_are_gone_is_refused() -> None:
    gone = Mutant("Gone", "chaos/__init__.py", {"no such words": ""}, MUTANTS[0].finder)

    with pytest.raises(LookupError, match=r"Gone: chaos/__init__.py has 0 × 'no such words'"):
        gone.planted(ROOT)


@pytest.fixture
def sources(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Sources of one module, as git knows them."""
    (tmp_path / "module.py").write_text("WORD = 'sound'\n")
    for words in (["init", "-q"], ["add", "module.py"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    monkeypatch.setattr(command, "ROOT", tmp_path)
    monkeypatch.setattr(command, "PAGE", tmp_path / "mutants.md")
    return tmp_path


@pytest.mark.parametrize(
    ("program", "code"),
    [
        # It finds the defect and nothing without it; finds nothing; finds something always; met nothing to withstand.
        ("import module, sys; bad = module.WORD != 'sound'; print('bad: x' * bad); sys.exit(bad)", 0),
        ("pass", 1),
        ("import sys; print('bad: always'); sys.exit(1)", 1),
        (
            "import module, sys; bad = module.WORD != 'sound'; print('bad: nothing was tried: x' * bad); sys.exit(bad)",
            1,
        ),
    ],
)
def test_the_exit_code_says_whether_every_mutant_was_found(
    monkeypatch: pytest.MonkeyPatch, sources: Path, program: str, code: int
) -> None:
    monkeypatch.setattr(command, "MUTANTS", (_mutant(program),))

    assert command.main([]) == code

    if code == 0:
        page = (sources / "mutants.md").read_text()
        assert "| A word | `module.py` | a program | bad: x |" in page


def test_words_that_choose_no_mutant_are_refused(
    monkeypatch: pytest.MonkeyPatch, sources: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "MUTANTS", (_mutant("pass"),))

    assert command.main(["no", "such"]) == 2
    assert capsys.readouterr().err == "no mutant has 'no such' in its title\n"


def test_each_finder_looks_at_sources_without_a_defect(
    monkeypatch: pytest.MonkeyPatch, sources: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    finds = "import module, sys; bad = module.WORD != 'sound'; print('bad: x' * bad); sys.exit(bad)"
    finds_always = "import sys; print('bad: always'); sys.exit(1)"
    monkeypatch.setattr(command, "MUTANTS", (_mutant(finds_always), _mutant(finds)))

    assert command.main([]) == 1
    assert "a program finds something without a defect: bad: always" in capsys.readouterr().err


def test_sources_that_git_does_not_know_yet_are_copied_too(
    monkeypatch: pytest.MonkeyPatch, sources: Path
) -> None:
    (sources / "new.py").touch()
    program = "import module, new, sys; bad = module.WORD != 'sound'; print('bad: x' * bad); sys.exit(bad)"
    monkeypatch.setattr(command, "MUTANTS", (_mutant(program),))

    assert command.main([]) == 0


def test_the_page_names_the_sources_with_which_it_was_begun(
    monkeypatch: pytest.MonkeyPatch, sources: Path
) -> None:
    begun = sources / "begun"
    program = (
        f"import module, pathlib, sys; pathlib.Path({str(begun)!r}).touch(); bad = module.WORD != 'sound';"
        " print('bad: x' * bad); sys.exit(bad)"
    )
    monkeypatch.setattr(command, "MUTANTS", (_mutant(program),))
    monkeypatch.setattr(command, "commit", lambda: "later" if begun.exists() else "these sources")

    assert command.main([]) == 0

    assert ", these sources.\n" in (sources / "mutants.md").read_text()


def test_a_finder_that_falls_has_found_nothing(monkeypatch: pytest.MonkeyPatch, sources: Path) -> None:
    monkeypatch.setattr(command, "MUTANTS", (_mutant("raise SystemExit(3)"),))

    with pytest.raises(RuntimeError, match="a program ended with 3"):
        command.main([])


def test_a_finder_that_takes_too_long_may_tidy_up_and_is_named(
    monkeypatch: pytest.MonkeyPatch, sources: Path, tmp_path: Path
) -> None:
    tidy = tmp_path / "tidy"
    program = f"""
import pathlib, time
try:
    time.sleep(60)
finally:
    pathlib.Path({str(tidy)!r}).touch()
"""
    monkeypatch.setattr(command, "SECONDS", 1.0)
    monkeypatch.setattr(command, "MUTANTS", (_mutant(program),))

    with pytest.raises(RuntimeError, match="a program did not end within 1 s"):
        command.main([])
    assert tidy.exists()


def _mutant(program: str) -> Mutant:
    finder = Finder("a program", ("-c", program), frozenset(), "bad: ")
    return Mutant("A word", "module.py", {"sound": "planted"}, finder)
