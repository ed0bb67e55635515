"""What the last sync left in a store: each file of the content folder by its hash, and what it became there.

Whoever writes over REST (https://hl7.org/fhir/R5/http.html) moves a resource away from that, and a file that is edited
moves the other way: both can be seen at any time after.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from apothecary.content.files import ContentFile
from apothecary.content.xhtml import canonical_xhtml
from apothecary.errors import FhirError
from apothecary.fhir.json import JSON, compact, dumps, parse, sorted_dumps
from apothecary.fhir.meta import stamp
from apothecary.fhir.releases import FhirVersion
from apothecary.store.contract import Reader, Stored, Transaction
from apothecary.versions import convert

# Under these names the store remembers what the last sync left.
FILES, LEFT, SYNCED = "content files", "content versions", "content synced"


class Left(msgspec.Struct, array_like=True, frozen=True):
    """The version that a file became, and the SHA-256 of its text: `$meta-add` changes the text of a version."""

    version: int
    body: str

    @classmethod
    def of(cls, stored: Stored) -> Left:
        """What `stored` is, to be known again."""
        return cls(stored.version, hashlib.sha256(stored.body or b"").hexdigest())


_FILES = msgspec.json.Decoder(dict[str, str])
_LEFT = msgspec.json.Decoder(dict[str, Left])


@dataclass(frozen=True, slots=True)
class Synced:
    """The state after the last sync: hashes of the files and what they became, by `Type/id`; the moment, in
    microseconds since 1970. `left` is None in a database of a version that did not note it.
    """

    files: Mapping[str, str]
    left: Mapping[str, Left] | None
    moment: int

    def moved(self, key: str, current: Stored | None) -> bool:
        """Whether the store holds for `key` something else than the last sync left there."""
        there = current is not None and not current.deleted
        if self.left is None and key in self.files:
            return current is None or current.deleted or current.updated > self.moment
        left = (self.left or {}).get(key)
        if left is None:
            return there or key in self.files
        return current is None or current.deleted or Left.of(current) != left


def synced(reader: Reader) -> Synced:
    """What the last sync left; nothing where there was none."""
    files = _FILES.decode(reader.state(FILES) or "{}")
    left = reader.state(LEFT)
    known = None if left is None else _LEFT.decode(left)
    return Synced(files, known, int(reader.state(SYNCED) or 0))


def remember(transaction: Transaction, files: Mapping[str, str], left: Mapping[str, Left], moment: int) -> None:
    """Note what a sync leaves."""
    transaction.set_state(FILES, msgspec.json.encode(files).decode())
    transaction.set_state(LEFT, msgspec.json.encode(left).decode())
    transaction.set_state(SYNCED, str(moment))


def file_hash(file: ContentFile) -> str:
    """The same for files that differ in white space only."""
    text = compact(file.text) if file.path.suffix == ".json" and file.writable else dumps(file.value)
    # The release is part of what is said; those of a server before knew of R5 only.
    return hashlib.sha256(text if file.version is FhirVersion.R5 else text + str(file.version).encode()).hexdigest()


def changed(hashes: Mapping[str, str], files: Mapping[str, str]) -> set[str]:
    """The keys of those files that are new, or have another content than in `files`."""
    return {key for key, value in hashes.items() if files.get(key) != value}


def r5_form(stored: Stored) -> JSON:
    """The R5 form of a resource that is not deleted: what the index is made of, and what a file of the folder says."""
    resource: JSON = parse(stored.body or b"")
    return convert(resource, FhirVersion(stored.fhir_version), FhirVersion.R5).resource


def says_the_same(resource: JSON, stored: Stored, version: FhirVersion = FhirVersion.R5) -> bool:
    """Whether a file's `resource`, of the release `version`, says what `stored` does, but for what servers assign.

    The order of properties means nothing (https://hl7.org/fhir/R5/json.html), and neither does how the XHTML of a
    narrative is written; digits do: 0.5 and 0.50 differ.
    """
    if stored.body is None:
        return False
    text = stamp(resource, stored.id, stored.version, stored.updated)
    if text == stored.body and stored.fhir_version == version:
        return True
    try:
        if stored.fhir_version == version:
            return _comparable(parse(text)) == _comparable(parse(stored.body))
        return _comparable(convert(parse(text), version, FhirVersion.R5).resource) == _comparable(r5_form(stored))
    except (FhirError, ValueError):
        # What has no R5 form is not what a file says.
        return False


def _comparable(resource: JSON) -> bytes:
    return sorted_dumps(_narratives(resource))


def _narratives(value: Any) -> Any:
    """`value` with each narrative in one way of writing."""
    if isinstance(value, dict):
        return {
            key: canonical_xhtml(each) if key == "div" and isinstance(each, str) else _narratives(each)
            for key, each in value.items()
        }
    return [_narratives(each) for each in value] if isinstance(value, list) else value


def stored_now(reader: Reader, keys: Iterable[str]) -> dict[str, Stored]:
    """What the store holds for `keys`, deletions included, some hundred at a time."""
    found: dict[str, Stored] = {}
    wanted = [(kind, identity) for kind, _, identity in (key.partition("/") for key in keys)]
    for start in range(0, len(wanted), 500):
        part = wanted[start : start + 500]
        there = {(one.type, one.id): one for one in reader.read_many(part)}
        for kind, identity in part:
            if (one := there.get((kind, identity)) or reader.read(kind, identity)) is not None:
                found[f"{kind}/{identity}"] = one
    return found
