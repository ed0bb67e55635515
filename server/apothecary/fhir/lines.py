"""Tables of which a process needs a few rows: one JSON object a file, a member a line, decoded one by one.

The files are compiled from https://hl7.org/fhir/R5/downloads.html and https://terminology.hl7.org.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")

# Raw leaves each member undecoded: finding one costs a scan of the file, not the objects of all.
_LINES = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Lines(Generic[T]):
    """The members of one file by name; nothing is read before it is asked for."""

    def __init__(self, path: Path, decoder: msgspec.json.Decoder[T]) -> None:
        """`decoder` is made at its module's level: two threads that are the first to use one Struct end the process."""
        self._path = path
        self._decoder = decoder
        # Filled by whole values only: two threads may both decode a member, and then store equal results.
        self._found: dict[str, T] = {}

    def get(self, name: str) -> T | None:
        """The member of that name, None where there is none."""
        found = self._found.get(name)
        if found is None:
            raw = self._raw.get(name)
            if raw is None:
                return None
            found = self._found[name] = self._decoder.decode(raw)
        return found

    def __contains__(self, name: object) -> bool:
        return name in self._raw

    def names(self) -> tuple[str, ...]:
        """The names of all members, in the order of the file, which is sorted."""
        return tuple(self._raw)

    @cached_property
    def _raw(self) -> Mapping[str, msgspec.Raw]:
        return _LINES.decode(self._path.read_bytes())
