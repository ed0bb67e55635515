"""Files below a folder, written only where they change, and whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

# No name of ours begins with a point.
BESIDE = ".new-"


class Tree:
    """What is written below a folder. Paths are relative, with slashes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.written = self.unchanged = self.removed = 0
        self._made: set[Path] = set()
        self._same: set[str] = set()

    def read(self, path: str) -> bytes | None:
        """What a file holds; None where there is none."""
        try:
            return (self.folder / path).read_bytes()
        except FileNotFoundError:
            return None

    def others(self) -> bool:
        """Whether there is anything in the folder that is not hidden."""
        with suppress(FileNotFoundError):
            return any(one.name[0] != "." for one in self.folder.iterdir())
        return False

    def write(self, path: str, data: bytes) -> None:
        """Let a file hold `data`. Who reads it meanwhile gets what it was, or what it is."""
        self.prepare(path, data)
        self.settle(path)

    def prepare(self, path: str, data: bytes) -> None:
        """Write a file beside its place, where it is not what is there."""
        place = self.folder / path
        if self._is(place, data):
            self._same.add(path)
            return
        if place.parent not in self._made:
            place.parent.mkdir(parents=True, exist_ok=True)
            self._made.add(place.parent)
        # Not flushed to the disk: after a power cut the next run finds what is not whole.
        _beside(place).write_bytes(data)

    def settle(self, path: str) -> None:
        """Put what was prepared into its place."""
        if path in self._same:
            self._same.remove(path)
            self.unchanged += 1
            return
        place = self.folder / path
        os.replace(_beside(place), place)
        self.written += 1

    def keep(self, folder: str, names: Collection[str]) -> None:
        """Remove the files of a folder that have none of those names, which are relative to it."""
        for path, _, files in os.walk(self.folder / folder, topdown=False):
            inside = Path(path).relative_to(self.folder / folder)
            for name in files:
                if (inside / name).as_posix() not in names:
                    os.remove(Path(path, name))
                    self.removed += 1
            with suppress(OSError):
                os.rmdir(path)  # empty

    def _is(self, place: Path, data: bytes) -> bool:
        try:
            return place.stat().st_size == len(data) and place.read_bytes() == data
        except FileNotFoundError:
            return False


def _beside(place: Path) -> Path:
    return place.with_name(f"{BESIDE}{place.name}")
