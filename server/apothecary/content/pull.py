"""Writes back into the content folder what was changed over REST, so that it can be reviewed like any other change."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from apothecary.content.drift import Drift, drift
from apothecary.content.synced import says_the_same
from apothecary.content.write import NoText, authored, file_text, loses_comments, reads_back, replace_file
from apothecary.errors import FhirError, StartError
from apothecary.fhir.json import JSON, parse
from apothecary.fhir.releases import FhirVersion
from apothecary.store.contract import Reader, Stored
from apothecary.validation import ERRORS, validate
from apothecary.versions import convert

Side = Literal["theirs", "ours"]


@dataclass(slots=True)
class Pulled:
    """What a pull did, in numbers of resources."""

    written: int = 0
    removed: int = 0
    refused: int = 0

    def __str__(self) -> str:
        counts = ((self.written, "written"), (self.removed, "removed"), (self.refused, "refused"))
        return ", ".join(f"{count} {name}" for count, name in counts if count) or "nothing to pull"


class _Refused(Exception):
    """One resource that cannot become a file."""


def pull(
    reader: Reader,
    folder: Path,
    types: Collection[str],
    keys: Collection[str],
    side: Side | None,
    say: Callable[[str], None],
    complain: Callable[[str], None],
    *,
    dry_run: bool = False,
) -> Pulled:
    """Write the resources named by `keys` (`Type/id`; empty: all) that differ as files of the folder; those that were
    deleted lose theirs. `types` are the served ones.

    Where the file was changed as well, `side` decides: `theirs` is the server's version, `ours` that of the file;
    without it nothing at all is written. `say` is told what is done before it is done, `complain` what is refused.
    Raises StartError for a key that names nothing, and where a file cannot be written.
    """
    done = Pulled()
    wanted = set(keys)
    for one in _of(drift(reader, folder, types), keys):
        wanted.discard(one.key)
        if one.kind == "conflict" and side is None:
            complain(f"{one}: take one of both with --theirs (the server's) or --ours (the file's)")
            done.refused += 1
    for key in sorted(wanted):
        kind, _, identity = key.partition("/")
        if reader.read(kind, identity) is None and not any(folder.glob(f"{_plain(kind)}/**/{_plain(identity)}.*")):
            raise StartError(f"{key}: neither the database nor the folder has it")
        complain(f"{key}: nothing differs")
    if done.refused:
        return done
    for one in _of(drift(reader, folder, types), keys):
        if one.kind == "unsynced" or (one.kind == "conflict" and side == "ours"):
            complain(f"{one}: the file stays as it is")
            continue
        try:
            _pull(one, folder, types, say, complain, done, dry_run)
        except _Refused as refusal:
            complain(f"{one.key}: {refusal}")
            done.refused += 1
    return done


def _of(found: Iterator[Drift], keys: Collection[str]) -> Iterator[Drift]:
    return (one for one in found if not keys or one.key in keys)


def _plain(name: str) -> str:
    """A name for `glob`, without anything that is special there."""
    from glob import escape

    return escape(name)


def _pull(
    one: Drift,
    folder: Path,
    types: Collection[str],
    say: Callable[[str], None],
    complain: Callable[[str], None],
    done: Pulled,
    dry_run: bool,
) -> None:
    would = "would be " if dry_run else ""
    stored = one.stored
    if stored is None or stored.deleted:
        if one.file is None:
            return
        _check_place(one, folder)
        path = _inside(folder, one.file.path)
        say(f"{one.file.path}: {would}removed, {one.key} was deleted")
        done.removed += 1
        if not dry_run:
            try:
                path.unlink()
            except OSError as error:
                raise StartError(f"{path}: cannot be removed: {error.strerror}") from error
        return
    _check_place(one, folder)
    kind, _, identity = one.key.partition("/")
    if kind not in types:
        raise _Refused(f"{kind} is not served, so a file of it would be refused (APOTHECARY_RESOURCE_TYPES)")
    if one.file is None and identity.startswith("."):
        raise _Refused("its id begins with a dot, so its file would be hidden, and no content")
    shown = one.file.path if one.file is not None else folder / kind / f"{identity}.json"
    path = _inside(folder, shown)
    if one.file is None and path.exists():
        raise _Refused(f"{shown} is there already, and not its file")
    before = _bytes(path) if one.file is not None else None
    resource, approximate = _authored(stored)
    try:
        text = file_text(resource, path.suffix, before, one.file.value if one.file is not None else None)
    except NoText as error:
        raise _lossy(path, str(error)) from None
    _check(resource, stored, shown, text)
    for reason in approximate:
        complain(f"{one.key}: written in {stored.fhir_version}, the file is R5: {reason}")
    if before is not None and loses_comments(path.suffix, before):
        complain(f"{shown}: a resource holds no comments, so those of the file are not kept")
    say(f"{shown}: {would}written from {one.key} version {stored.version}")
    done.written += 1
    if not dry_run:
        replace_file(path, text)


def _check_place(one: Drift, folder: Path) -> None:
    """Raises _Refused for what cannot be written as a file of its own."""
    if one.file is None:
        if not folder.is_dir():
            raise _Refused(f"{folder} is no folder, so no file can be added to it")
    elif one.file.published:
        raise _Refused(f"{one.file.path} was published as it is, so it is not written here")
    elif not one.file.writable:
        raise _Refused(f"{one.file.path} holds others as well; write it there")
    elif one.file.version is not FhirVersion.R5:
        raise _Refused(f"{one.file.path} is in {one.file.version}, and files are written in R5")


def _authored(stored: Stored) -> tuple[JSON, list[str]]:
    """The R5 form without what the server assigned, and what in it is only approximate."""
    try:
        conversion = convert(parse(stored.body or b""), FhirVersion(stored.fhir_version), FhirVersion.R5)
    except (FhirError, ValueError) as error:
        raise _Refused(f"it cannot be written in R5: {error}") from error
    return authored(conversion.resource), [issue.diagnostics for issue in conversion.issues]


def _check(resource: JSON, stored: Stored, path: Path, text: bytes) -> None:
    """Raises _Refused for a file that would lose something, or that the next start would refuse."""
    value = reads_back(path, text)
    if value is None or not says_the_same(value, stored):
        raise _lossy(path, str(path))
    errors = validate(resource, FhirVersion.R5, options=ERRORS)
    if errors:
        where = f" ({errors[0].expression[0]})" if errors[0].expression else ""
        raise _Refused(f"it is not valid, so no server would take the file: {errors[0].diagnostics}{where}")


def _lossy(path: Path, why: str) -> _Refused:
    return _Refused(f"it cannot be written as {path.suffix.removeprefix('.').upper()} without loss ({why})")


def _inside(folder: Path, path: Path) -> Path:
    """Where `path` really lies. Raises _Refused where a link leads out of the folder."""
    real = path.resolve()
    if not real.is_relative_to(folder.resolve()):
        raise _Refused(f"{path} leads out of the folder, to {real}")
    return real


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StartError(f"{path}: cannot be read: {error.strerror}") from error
