"""The beginning of a label, read as far as its version stands there, and no further."""

from __future__ import annotations

from typing import NamedTuple
from xml.parsers import expat

from apothecary.importers.sources import Member, Torn
from apothecary.importers.spl.tree import V3

# The head stands before the text; the title, which may be long, is in it.
_MOST, _BLOCK = 256 * 1024, 8192


class Head(NamedTuple):
    """Which label a file is of, and which version of it; 0 where it is no number."""

    set_id: str
    version: int


def head(member: Member) -> Head | None:
    """None for what has no such head, or cannot be read: reading the whole of it tells why."""
    found: dict[str, str] = {}
    depth = 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth == 2:
            space, _, name = tag.rpartition(" ")
            if space == V3 and name in ("setId", "versionNumber", "component"):
                found.setdefault(name, attributes.get("root", attributes.get("value", "")).strip().lower())

    def end(_: str) -> None:
        nonlocal depth
        depth -= 1

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    read = 0
    try:
        with member.open() as stream:
            while read < _MOST and "component" not in found and len(found) < 2:
                block = stream.read(_BLOCK)
                read += len(block)
                parser.Parse(block, not block)
                if not block:
                    break
    except (Torn, expat.ExpatError):
        return None
    if not found.get("setId"):
        return None
    version = found.get("versionNumber", "")
    return Head(found["setId"], int(version) if version.isdecimal() and len(version) < 10 else 0)
