"""What a user names on the command line -> the files to read: paths, folders, globs, standard input, what changed.

Of a folder that is a FHIR package the files that hold its resources (https://hl7.org/fhir/R5/packages.html).
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from apothecary.content.confined import Folder
from apothecary.content.git import git
from apothecary.content.publication import LARGEST, Publication, first, read_publication, speaks, within
from apothecary.content.read import named_format
from apothecary.errors import StartError
from apothecary.fhir.releases import FhirVersion

STANDARD_INPUT = "-"


@dataclass(frozen=True, slots=True)
class Source:
    """One file, as it is shown. `named` is false for what was found in a folder, where not every file must be FHIR;
    `release` is that of what does not say its own, where the folder says so; `packaged` what a FHIR package holds.
    """

    path: str
    named: bool
    release: FhirVersion | None = None
    packaged: bool = False

    @property
    def is_standard_input(self) -> bool:
        """Whether this is `-`."""
        return self.path == STANDARD_INPUT


def sources(paths: Iterable[str], *, fhir_only: bool = False) -> list[Source]:
    """The files that `paths` mean, each once, in the order named and sorted within folders and globs.

    With `fhir_only` what is named is treated like what is found in a folder.
    Folders are searched below for files with a FHIR suffix; hidden entries are passed over, and archives, which
    are read where they are named. Raises StartError for a
    path that does not exist and for a glob that matches nothing: a check of nothing must not look like a success.
    """
    found: dict[str, Source] = {}
    for path in paths:
        for source in _sources(path):
            if fhir_only:
                source = replace(source, named=False)
            found.setdefault(os.path.normpath(source.path), source)
    return list(found.values())


def _sources(path: str) -> Iterator[Source]:
    if path == STANDARD_INPUT:
        yield Source(path, named=True)
    elif os.path.isdir(path):
        yield from below(path)
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


def below(folder: str, without: Collection[str] = ()) -> Iterator[Source]:
    """The files below a folder that may hold resources, sorted; none of what lies in the folders of the names
    `without` in it. Raises ContentError for a link that leads out of the folder, and for what is no file.
    """
    confined = Folder(folder)
    known: dict[str, Publication] = {}
    for directory, folders, files in os.walk(folder):
        here = os.path.relpath(directory, folder)
        passed_over = without if here == "." else ()
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in passed_over)
        for name in folders:
            confined.check_link(os.path.join(directory, name))
        if (publication := publication_of(directory)) is not None:
            known["" if here == "." else Path(here).as_posix()] = publication
        for name in sorted(files):
            if not name.startswith(".") and named_format(name):
                meant, said = within(Path(here, name).as_posix(), known)
                if meant:
                    path = os.path.join(directory, name)
                    confined.check_file(path)
                    release, packaged = (said.release, said.packaged) if said is not None else (None, False)
                    yield Source(path, False, release, packaged)


def publication_of(directory: str) -> Publication | None:
    """What the files in a folder say of those beside them. Raises ContentError for a link that leads out of it, and
    StartError for a release that is not read.
    """
    found, confined = [], Folder(directory)
    for name in sorted(filter(speaks, os.listdir(directory))):
        path = os.path.join(directory, name)
        confined.check_file(path)
        try:
            with open(path, "rb") as stream:
                found.append(read_publication(path, stream.read(LARGEST)))
        except OSError:
            # Where it is to hold a resource, whoever reads that says so.
            continue
    return first(found)


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
