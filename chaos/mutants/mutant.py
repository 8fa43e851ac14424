"""What a mutant is, and who must find it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Finder:
    """A command of Python that fails where it finds something, with words that begin so."""

    name: str
    words: Sequence[str]
    engines: frozenset[str]
    tells: str


@dataclass(frozen=True)
class Mutant:
    """A defect: in one file other words stand for some."""

    title: str
    file: str
    changes: Mapping[str, str]
    """What stands instead of words that are in the file exactly once."""
    finder: Finder

    def planted(self, root: Path) -> str:
        """The text of the file with the defect. Raises LookupError where the file has changed since."""
        text = (root / self.file).read_text()
        for words, instead in self.changes.items():
            if text.count(words) != 1:
                raise LookupError(f"{self.title}: {self.file} has {text.count(words)} × {words!r}")
            text = text.replace(words, instead)
        return text


def campaign(number: int, size: int, *engines: str) -> Finder:
    """So many attempts of a campaign, or fewer where it finds something: to wait for what never comes takes long."""
    words = ("-m", "chaos", "--first", "--size", str(size), "--seed", "1", "--campaign", str(number))
    return Finder(f"campaign {number}", words, frozenset(engines), f"campaign {number}: ")


def test(file: str, *engines: str, only: str = "") -> Finder:
    """A file of tests, or some of it."""
    words = ("-m", "pytest", "-q", "-n", "0", "-x", file, *(("-k", only) if only else ()))
    return Finder(f"`{file}`", words, frozenset(engines), "FAILED ")
