"""The FHIR version that a resource is shown and kept in: https://hl7.org/fhir/R5/versioning.html

A resource is kept in the version it was written in, and shown in the version that is asked for: unchanged where the two
are the same, converted otherwise. A stored version never changes, so its conversions are remembered.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

from apothecary.errors import Issue
from apothecary.fhir.json import JSON, dumps, parse
from apothecary.fhir.releases import FhirVersion
from apothecary.store.contract import Hit, Past, Stored
from apothecary.versions import convert

# Bytes of converted text that one process remembers.
REMEMBERED = 64 * 1024 * 1024

APPROXIMATE = {
    "system": "https://example.org/fhir/CodeSystem/conversion",
    "code": "approximate",
    "display": "Some elements are only approximated in this FHIR version; extensions hold the originals",
}


class Conversions:
    """Converted texts by what they were made from; the one used longest ago is forgotten first."""

    def __init__(self, limit: int = REMEMBERED) -> None:
        self._limit = limit
        self._known: OrderedDict[tuple[FhirVersion, FhirVersion, bytes], bytes] = OrderedDict()
        self.size = 0
        """Bytes of all texts, those that were converted and those that it became."""
        self._lock = threading.Lock()

    def get(self, body: bytes, source: FhirVersion, target: FhirVersion) -> bytes:
        key = source, target, body
        with self._lock:
            known = self._known.get(key)
            if known is not None:
                self._known.move_to_end(key)
                return known
        found = dumps(in_version(parse(body), source, target))
        with self._lock:
            # Another thread may have been at the same conversion: what it counted must not be counted again.
            if key not in self._known:
                self._known[key] = found
                self.size += len(body) + len(found)
            while self.size > self._limit:
                (_, _, old), new = self._known.popitem(last=False)
                self.size -= len(old) + len(new)
        return found


_conversions = Conversions()


def in_version(resource: JSON, source: FhirVersion, target: FhirVersion) -> JSON:
    """`resource` as `target` writes it, tagged where something in it is only approximate."""
    if source == target:
        return resource
    # A tag of an earlier conversion says nothing of this one.
    converted = convert(untagged(resource), source, target)
    return _tagged(converted.resource) if converted.issues else converted.resource


def _tagged(resource: JSON) -> JSON:
    meta = resource.get("meta", {})
    tags = [tag for tag in meta.get("tag", ()) if tag.get("code") != APPROXIMATE["code"]]
    changed: JSON = {key: value for key, value in resource.items() if key in ("resourceType", "id")}
    return (
        changed | {"meta": {**meta, "tag": [*tags, APPROXIMATE]}} | {k: v for k, v in resource.items() if k != "meta"}
    )


def untagged(resource: JSON) -> JSON:
    """`resource` without the tag of a conversion: what a client read in one version and writes back is no
    approximation.
    """
    tags = resource.get("meta", {}).get("tag", ())
    if not any(isinstance(tag, dict) and tag.get("system") == APPROXIMATE["system"] for tag in tags):
        return resource
    kept = [tag for tag in tags if tag.get("system") != APPROXIMATE["system"]]
    meta = {key: value for key, value in resource["meta"].items() if key != "tag"} | ({"tag": kept} if kept else {})
    return {key: (meta if key == "meta" else value) for key, value in resource.items() if key != "meta" or meta}


def body_in(one: Stored | Past | Hit, version: FhirVersion) -> bytes:
    """The text of a stored resource, which must not be a deletion, in `version`."""
    body = one.body or b""
    return body if one.fhir_version == version else _conversions.get(body, FhirVersion(one.fhir_version), version)


def json_in(one: Stored, version: FhirVersion) -> JSON:
    """The resource itself, in `version`, to be changed: nothing of it is shared."""
    result: JSON = parse(body_in(one, version))
    return untagged(result) if one.fhir_version != version else result


def canonical(resource: JSON, version: FhirVersion) -> JSON:
    """The R5 form of a resource."""
    return resource if version is FhirVersion.R5 else convert(resource, version, FhirVersion.R5).resource


def approximations(resource: JSON, source: FhirVersion, target: FhirVersion) -> tuple[Issue, ...]:
    """What a conversion would only approximate."""
    return () if source == target else convert(resource, source, target).issues
