"""What a document shows of a console: commands and what they print, and whether what they print now has that shape."""

import re
from dataclasses import dataclass
from difflib import unified_diff
from itertools import takewhile

REST = "…"
"""Stands in a document for what is left out: as a line for any number of lines, within a line for any text."""
ID = r"\b[0-9a-f]{32}(?:[0-9a-f]{32})?\b"
"""An id that is made anew each time, or a SHA-256."""


@dataclass(frozen=True)
class Command:
    """One command, its continued lines joined, and the lines shown behind it."""

    line: str
    shown: tuple[str, ...]


def sections(document: str) -> dict[str, list[Command]]:
    """The commands of each section that has some, by its title."""
    titled = re.split(r"^## (.+)$", document, flags=re.MULTILINE)[1:]
    found = {title: _commands(body) for title, body in zip(titled[::2], titled[1::2], strict=True)}
    return {title: commands for title, commands in found.items() if commands}


def _commands(body: str) -> list[Command]:
    commands = []
    for block in re.findall(r"^```console\n(.*?)^```$", body, re.MULTILINE | re.DOTALL):
        lines = block.replace("\\\n", "").splitlines()
        for number, line in enumerate(lines):
            if line.startswith("$ "):
                shown = takewhile(lambda each: each != "$" and not each.startswith("$ "), lines[number + 1 :])
                commands.append(Command(line[2:], tuple(shown)))
    return commands


def difference(command: Command, said: str) -> str:
    """How what was said differs from what is shown, in words and order; empty where it does not.

    Digits, ids and spaces do not count: they are times, sizes and columns.
    """
    lines = [_shape(line) for line in said.splitlines()]
    pattern = "".join(_pattern(line) for line in command.shown)
    if re.fullmatch(pattern, "".join(f"{line}\n" for line in lines)):
        return ""
    shown = [_shape(line) for line in command.shown]
    return "\n".join(
        [f"$ {command.line}", *unified_diff(shown, lines, "shown", "said", lineterm="", n=2), said]
    )


def _shape(line: str) -> str:
    return re.sub(r"\s+", " ", re.sub(rf"{ID}|\d+", "0", line)).strip()


def _pattern(line: str) -> str:
    if line.strip() == REST:
        return "(?:.*\n)*?"
    return re.escape(_shape(line)).replace(REST, ".*") + "\n"
