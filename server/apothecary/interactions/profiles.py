"""The profiles that this server holds, for what claims one: https://hl7.org/fhir/R5/profiling.html#resources"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from apothecary.errors import NotFound
from apothecary.fhir.caches import Weighed
from apothecary.fhir.json import JSON, parse
from apothecary.fhir.releases import FhirVersion
from apothecary.interactions.service import Service
from apothecary.store.contract import Reader, Stored
from apothecary.validation.profiles import Profiles

_KINDS = ("StructureDefinition", "ValueSet", "CodeSystem")
_HELD = ("profiles",)
_NONE = Profiles(())
# A server may hold thousands; a CapabilityStatement names so many of a type.
MOST_NAMED = 200

# How much of memory the definitions that were read may take together, in bytes, and what a byte of text takes then.
READ, _PARSED = 64 * 1024 * 1024, 6
# What is asked of every definition, to find those that matter. It stays in memory; a longer one is read when needed.
_KEPT = ("resourceType", "url", "version", "name", "type", "derivation", "fhirVersion", "status", "context")
_SHORT = 2_000


class _Definition(Mapping[str, Any]):
    """A definition in the database, of which little stays in memory: a server may hold thousands, of a hundred
    kilobytes each.
    """

    __slots__ = ("_key", "_known", "_shelf")

    def __init__(self, shelf: _Shelf, stored: Stored) -> None:
        resource = parse(stored.body or b"{}")
        self._shelf = shelf
        self._key = stored.type, stored.id, stored.version
        # That it is absent is known as well.
        self._known = {name: value for name in _KEPT if _is_short(value := resource.get(name))}

    def __getitem__(self, name: str) -> Any:
        value = self._known[name] if name in self._known else self._shelf.read(self._key).get(name)
        if value is None:
            raise KeyError(name)
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self._shelf.read(self._key))

    def __len__(self) -> int:
        return len(self._shelf.read(self._key))


class _Shelf:
    """The definitions that were read lately from one reader. A version never changes."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._read: Weighed[tuple[str, str, int], JSON] = Weighed(READ)

    def read(self, key: tuple[str, str, int]) -> JSON:
        """The definition of that type, id and version. Raises NotFound where the database was replaced."""
        found = self._read.get(key)
        if found is None:
            stored = self._reader.read_version(*key)
            if stored is None or stored.body is None:
                raise NotFound(f"{key[0]}/{key[1]} is not held any more")
            found = parse(stored.body)
            self._read.put(key, found, _PARSED * len(stored.body))
        return found


def _is_short(value: Any) -> bool:
    return value is None or len(str(value)) <= _SHORT


def definitions_held(service: Service) -> Iterator[Mapping[str, Any]]:
    """Every definition that profiles may need, in the release it was written in."""
    shelf = _Shelf(service.reader)
    for kind in _KINDS:
        for stored in service.reader.all_of_type(kind):
            if stored.body is not None:
                yield _Definition(shelf, stored)


def profiles_held(service: Service) -> Profiles:
    """All profiles; read and compiled once, until a definition changes."""
    written = service.reader.written
    if not written("StructureDefinition"):
        return _NONE
    generation = tuple(written(one) for one in _KINDS)
    known = service.profiles.of(generation)
    found: Profiles | None = known.get(_HELD)
    if found is None:
        found = known[_HELD] = Profiles(definitions_held(service))
    return found


class _Head(msgspec.Struct, rename="camel"):
    """What tells whether a definition is a profile on a resource type."""

    url: str
    type: str
    kind: str
    derivation: str = ""
    status: str = ""


_HEAD = msgspec.json.Decoder(_Head)


def supported(service: Service, version: FhirVersion) -> Mapping[str, Sequence[str]]:
    """The profiles on each type that resources of a release may claim and are then checked against, by their URLs:
    https://hl7.org/fhir/R5/capabilitystatement-definitions.html#CapabilityStatement.rest.resource.supportedProfile
    """
    generation = (service.reader.written("StructureDefinition"),)
    known = service.supported.of(generation)
    found: dict[FhirVersion, dict[str, list[str]]] | None = known.get(_HELD)
    if found is None:
        found = {one: {} for one in FhirVersion}
        for stored in service.reader.all_of_type("StructureDefinition"):
            head = _head(stored)
            if head is not None:
                found[FhirVersion(stored.fhir_version)].setdefault(head.type, []).append(head.url)
        known[_HELD] = found
    return {kind: sorted(set(urls))[:MOST_NAMED] for kind, urls in found[version].items()}


def _head(stored: Stored) -> _Head | None:
    """What a stored definition says of a profile on a type; None where it is none."""
    try:
        head = _HEAD.decode(stored.body or b"")
    except msgspec.MsgspecError:
        # Stored without validation, or abstract without a URL.
        return None
    usable = head.kind == "resource" and head.derivation == "constraint" and head.status != "retired"
    return head if usable else None


def profiles_for(service: Service, resource: Any) -> Profiles | None:
    """What `resource` is to be checked against; None for one that claims no profile and has no extension, which costs
    nothing.
    """
    return profiles_held(service) if _concerned(resource) else None


def _concerned(node: Any) -> bool:
    left = [node]
    while left:
        one = left.pop()
        if isinstance(one, dict):
            meta = one.get("meta")
            if "extension" in one or "modifierExtension" in one or (isinstance(meta, dict) and "profile" in meta):
                return True
            left += one.values()
        elif isinstance(one, list):
            left += one
    return False
