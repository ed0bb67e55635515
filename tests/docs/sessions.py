"""The sessions that the pages show, as data: what a reader saves, changes and types, and the answers that are shown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

SHOWN_ADDRESS = "http://127.0.0.1:8080"

# In shown answers, `...` stands for what was left out: whole lines where it stands alone, else a part of a line.
ELLIPSIS = "..."

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PATH = re.compile(r"`([\w./-]+)`:$")


@dataclass
class Command:
    """A line to type, and the lines that are shown as its answer."""

    line: str
    shown: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Save:
    """A file to write."""

    path: str
    text: str


@dataclass(frozen=True)
class Change:
    """Lines of a file to replace."""

    path: str
    old: str
    new: str


def steps(page: str) -> Iterator[Command | Save | Change]:
    """What a reader does, in the order of the page.

    A `console` block with a `$` holds commands; one without is set-up that the tests have done. Any other block belongs
    to the file that the paragraph before it ends with, in backticks and a colon; ValueError where it names none.
    """
    end = 0
    for block in FENCE.finditer(page):
        before, end = page[end : block.start()].rstrip(), block.end()
        language, text = block.groups()
        if language == "console":
            yield from _commands(text)
            continue
        named = PATH.search(before)
        if named is None:
            raise ValueError(f"no file is named before this block: {text[:80]}")
        if language == "diff":
            old, new = ("".join(f"{line[1:]}\n" for line in text.splitlines() if line[0] == sign) for sign in "-+")
            yield Change(named[1], old, new)
        else:
            yield Save(named[1], text)


def session(page: str) -> list[Command]:
    """The commands of the console blocks of a page."""
    return [step for block in FENCE.finditer(page) if block[1] == "console" for step in _commands(block[2])]


def _commands(block: str) -> list[Command]:
    found: list[Command] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            found.append(Command(line[2:]))
        elif found:
            found[-1].shown.append(line)
    return found


def mismatch(shown: list[str], real: list[str]) -> str | None:
    """The first shown line that the real answer does not have at its place; None where all are there in order."""
    position, anywhere = 0, False
    for line in shown:
        if line.strip() == ELLIPSIS:
            anywhere = True
            continue
        pattern = re.compile(".*".join(re.escape(part) for part in line.rstrip().rstrip(",").split(ELLIPSIS)) + ",?")
        places = range(position, len(real) if anywhere else min(position + 1, len(real)))
        place = next((one for one in places if pattern.fullmatch(real[one].rstrip())), None)
        if place is None:
            return line
        position, anywhere = place + 1, False
    return None if anywhere or position == len(real) else "(the end)"
