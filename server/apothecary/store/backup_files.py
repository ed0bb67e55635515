"""What both kinds of backup rest on: which are accepted, and how a file gets its name."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from apothecary.errors import SchemaError, StartError
from apothecary.store import schema

Progress = Callable[[int, int], None]
"""Is told how much is done, and how much there is."""

# What SQLite keeps beside a database: https://www.sqlite.org/tempfiles.html
SIDECARS = ("-wal", "-shm", "-journal")


class Copied(NamedTuple):
    """What a copy holds: the revision of its tables, and how many resources, deleted ones among them."""

    revision: str
    resources: int


def accepted(file: Path, revision: str | None) -> str:
    """The revision of the tables in a backup. Raises SchemaError for one that this version cannot use."""
    if not revision:
        raise SchemaError(f"{file} is no backup of a database of Apothecary's")
    if revision not in schema.revisions():
        raise SchemaError(
            f"{file} has tables of revision {revision}, which this Apothecary (revision {schema.REVISION}) does not "
            "know: a newer version made it. Run that version"
        )
    return revision


def refuse_replacing(name: str, found: str | None, resources: int, force: bool) -> None:
    """Raises StartError for a database that is not Apothecary's, and for one with resources unless `force`."""
    if found == schema.UNSTAMPED:
        raise SchemaError(f"{name} has tables that are not Apothecary's: name another database")
    if resources and not force:
        raise StartError(f"{name} holds {resources} resources: make a backup of it, then replace it with --force")


@contextmanager
def written(file: Path) -> Iterator[Path]:
    """An empty file beside `file`, for the owner only, that takes its name at the end of the block: not before it is
    on the disk, and not at all after an error.
    """
    beside = file.with_name(f".{file.name}.{os.getpid()}.new")
    try:
        os.close(os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        yield beside
        settle(beside, file)
    except OSError as error:
        raise StartError(f"{file}: cannot be written: {error.strerror or error}") from error
    finally:
        beside.unlink(missing_ok=True)


def settle(beside: Path, file: Path) -> None:
    """Give a file its name, durably. What SQLite kept beside an older file of that name would be taken for its own."""
    _flush(beside)
    for suffix in SIDECARS:
        Path(f"{file}{suffix}").unlink(missing_ok=True)
    os.replace(beside, file)
    _flush(file.parent)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
