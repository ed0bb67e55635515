"""What a user names on the command line -> the files to read: paths, folders, globs, standard input, what changed."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from apothecary.content.confined import Folder
from apothecary.content.git import git
from apothecary.content.read import named_format
from apothecary.errors import StartError

STANDARD_INPUT = "-"


@dataclass(frozen=True, slots=True)
class Source:
    """One file, as it is shown. `named` is false for what was found in a folder, where not every file must be FHIR."""

    path: str
    named: bool

    @property
    def is_standard_input(self) -> bool:
        """Whether this is `-`."""
        return self.path == STANDARD_INPUT


def sources(paths: Iterable[str], *, fhir_only: bool = False) -> list[Source]:
    """The files that `paths` mean, each once, in the order named and sorted within folders and globs.

    With `fhir_only` what is named is treated like what is found in a folder.
    Folders are searched below for files with a FHIR suffix; hidden entries are passed over. Raises StartError for a
    path that does not exist and for a glob that matches nothing: a check of nothing must not look like a success.
    """
    found: dict[str, Source] = {}
    for path in paths:
        for source in _sources(path):
            if fhir_only:
                source = Source(source.path, named=False)
            found.setdefault(os.path.normpath(source.path), source)
    return list(found.values())


def _sources(path: str) -> Iterator[Source]:
    if path == STANDARD_INPUT:
        yield Source(path, named=True)
    elif os.path.isdir(path):
        yield from (Source(file, named=False) for file in _below(path))
    elif os.path.lexists(path):
        yield Source(path, named=True)
    elif any(mark in path for mark in "*?["):
        yield from _matching(path)
    else:
        raise StartError(f"{path}: there is no such file or folder")


def _matching(pattern: str) -> Iterator[Source]:
    from glob import glob

    matches = sorted(glob(pattern, recursive=True))
    if not matches:
        raise StartError(f"{pattern}: no file matches")
    for match in matches:
        if not os.path.isdir(match):
            yield Source(match, named=True)


def _below(folder: str) -> Iterator[str]:
    """Raises ContentError for a link that leads out of the folder, and for what is no file."""
    confined = Folder(folder)
    for directory, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in folders:
            confined.check_link(os.path.join(directory, name))
        for name in sorted(files):
            if not name.startswith(".") and named_format(name):
                path = os.path.join(directory, name)
                confined.check_file(path)
                yield path


def changed_since(revision: str, listed: Collection[Source]) -> list[Source]:
    """Those of `listed` that git says differ from where the work left `revision`, committed or not, new files included.

    Raises StartError when git cannot say.
    """
    top = Path(_git("rev-parse", "--show-toplevel").decode().rstrip("\n"))
    changed = _git("diff", "--name-only", "-z", "--no-renames", "--merge-base", revision)
    untracked = _git("ls-files", "-z", "--others", "--exclude-standard", "--full-name", ":/")
    names = {os.path.realpath(top / os.fsdecode(name)) for name in (changed + untracked).split(b"\0") if name}
    return [source for source in listed if os.path.realpath(source.path) in names]


def _git(*arguments: str) -> bytes:
    # A revision that starts with a hyphen would be an option: git itself refuses it after --end-of-options.
    ended = [*arguments[:-1], "--end-of-options", arguments[-1]] if arguments[0] == "diff" else [*arguments]
    return git(*ended, failed="git could not list what changed")
