"""Where the store and the content folder are no longer the same: changed over REST, or in the files, or in both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from apothecary.content.files import ContentFile
from apothecary.content.sync import content_files
from apothecary.content.synced import file_hash, says_the_same, stored_now, synced
from apothecary.errors import FhirError, StartError
from apothecary.fhir.temporal import instant
from apothecary.settings import Settings
from apothecary.store.contract import Reader, Stored

Kind = Literal["changed", "deleted", "created", "conflict", "unsynced"]
FileState = Literal["same", "edited", "new", "removed", "none"]

# How many resources are compared at a time.
BATCH = 500


@dataclass(frozen=True, slots=True)
class Drift:
    """One resource that differs. `stored` is what the store has, a deletion included; `synced` the version that the
    last sync left; `file` is None where there is none.
    """

    key: str
    kind: Kind
    stored: Stored | None
    synced: int | None
    file: ContentFile | None
    file_state: FileState

    def __str__(self) -> str:
        there = f"; the file is {self.file.path}" if self.file is not None else ""
        if self.kind == "unsynced":
            return f"{self.key}: {_FILE[self.file_state]} and not served yet{there}"
        what = f"{self.key}: {_STORE[self.kind]}{self._when()}"
        if self.kind == "conflict":
            return f"{what}, and {_FILE[self.file_state]}{there}"
        return f"{what}{there or '; no file holds it'}"

    def _when(self) -> str:
        if self.stored is None:
            return ""
        since = f", after version {self.synced}" if self.synced is not None else ""
        done = " by its deletion" if self.kind == "conflict" and self.stored.deleted else ""
        return f"{done} in version {self.stored.version} of {instant(self.stored.updated)}{since}"

    def as_json(self) -> dict[str, object]:
        """The same for programs."""
        return {
            "resource": self.key,
            "kind": self.kind,
            "version": self.stored.version if self.stored else None,
            "updated": instant(self.stored.updated) if self.stored else None,
            "deleted": self.stored.deleted if self.stored else None,
            "syncedVersion": self.synced,
            "file": str(self.file.path) if self.file else None,
            "fileState": self.file_state,
        }


_STORE: Mapping[Kind, str] = {
    "changed": "changed over REST",
    "deleted": "deleted over REST",
    "created": "created over REST",
    "conflict": "changed over REST",
}
_FILE: Mapping[FileState, str] = {
    "edited": "its file is edited",
    "new": "its file is new",
    "removed": "its file is removed",
    "same": "its file is as it was",
    "none": "it has no file",
}


def folder_of(settings: Settings) -> Path:
    """The content folder. Raises StartError where none is named, or there is no such folder."""
    if not settings.content:
        raise StartError("there is nothing to compare with: name a content folder with --content")
    folder = Path(settings.content)
    if not folder.exists():
        raise StartError(f"{folder}: there is no such folder or file; name one with --content")
    return folder


def drift(reader: Reader, folder: Path, types: Collection[str] | None = None) -> Iterator[Drift]:
    """Every resource that differs, those with a file first; `types` are the served ones. Raises ContentError for a file
    that cannot be read.
    """
    files = content_files(folder, types, synced(reader).files).files
    yield from _drift(reader, {key: file_hash(file) for key, file in files.items()}, lambda: files)


def after_sync(reader: Reader, folder: Path) -> str | None:
    """A sentence for somebody who has just synced; None where nothing differs. The files are read only where the store
    was changed.
    """
    files = cache(lambda: content_files(folder, known=synced(reader).files).files)
    try:
        counts = Counter(one.kind for one in _drift(reader, synced(reader).files, files))
    except FhirError as error:
        return f"whether the database differs from the content cannot be told: {error}"
    if not counts:
        return None
    told = ", ".join(f"{counts[kind]} {kind}" for kind in ("changed", "deleted", "created") if counts[kind])
    return f"over REST the database came to differ from the content ({told}): apothecary content status names them"


def _drift(
    reader: Reader, hashes: Mapping[str, str], files: Callable[[], Mapping[str, ContentFile]]
) -> Iterator[Drift]:
    last = synced(reader)
    keys = sorted(hashes.keys() | last.files.keys())
    for start in range(0, len(keys), BATCH):
        part = keys[start : start + BATCH]
        stored = stored_now(reader, part)
        for key in part:
            current = stored.get(key)
            edited = hashes.get(key) != last.files.get(key)
            moved = last.moved(key, current)
            if not edited and not moved:
                continue
            file = files().get(key)
            if moved and _agree(file, current):
                continue
            left = (last.left or {}).get(key)
            state = _state(file, key in last.files, edited)
            yield Drift(key, _kind(edited, moved, current), current, left.version if left else None, file, state)
    for kind in reader.types():
        for one in reader.sent(kind):
            key = f"{one.type}/{one.id}"
            if key not in hashes and key not in last.files:
                yield Drift(key, "created", one, None, None, "none")


def _agree(file: ContentFile | None, current: Stored | None) -> bool:
    """Whether the file says what the store holds: then it does not matter who changed what."""
    there = current is not None and not current.deleted
    if file is None or current is None or not there:
        return file is None and not there
    return says_the_same(file.value, current, file.version)


def _kind(edited: bool, moved: bool, current: Stored | None) -> Kind:
    if edited:
        return "conflict" if moved else "unsynced"
    return "changed" if current is not None and not current.deleted else "deleted"


def _state(file: ContentFile | None, known: bool, edited: bool) -> FileState:
    if file is None:
        return "removed"
    if not known:
        return "new"
    return "edited" if edited else "same"
