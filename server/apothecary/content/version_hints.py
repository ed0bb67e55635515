"""The FHIR release that a resource itself claims: https://hl7.org/fhir/R5/versioning.html#mt-version

`fhirVersion` (StructureDefinition, CapabilityStatement, ...) and canonical urls of the specification in
`meta.profile` are claims.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from apothecary.fhir.releases import FhirVersion, parse_version

_PROFILE = re.compile(
    r"http://hl7\.org/fhir/(?:(?P<path>\d\.\d)/)?StructureDefinition/[^|\"]*(?:\|(?P<version>\d+(?:\.\d+)+))?"
)
_IN_TEXT = re.compile(rb'"?fhirVersion"?(?:\s*:\s*(?:\[\s*)?|\s+value\s*=\s*)["\']?(\d\.\d(?:\.\d)?)')


def hinted_version(resource: Any) -> FhirVersion | None:
    """The release that `resource` claims, or None; a value of an unexpected shape claims nothing."""
    if not isinstance(resource, dict):
        return None
    claimed = resource.get("fhirVersion")
    if isinstance(claimed, list):
        claimed = claimed[0] if claimed else None
    if isinstance(claimed, str) and (version := parse_version(claimed)):
        return version
    meta = resource.get("meta")
    profiles = meta.get("profile") if isinstance(meta, dict) else None
    for profile in profiles if isinstance(profiles, list) else ():
        if isinstance(profile, str) and (version := _profile_version(profile)):
            return version
    return None


def hinted_in_text(data: bytes) -> FhirVersion | None:
    """The same from the text of a resource, for formats that cannot be read without knowing the release."""
    head = data[:10_000]
    found = _IN_TEXT.search(head)
    if found and (version := parse_version(found.group(1).decode())):
        return version
    for url in _profiles_in(head):
        if version := _profile_version(url.decode("utf-8", "replace")):
            return version
    return None


def _profiles_in(head: bytes) -> Iterator[bytes]:
    """The addresses that stand as `meta.profile` in the beginning of a text in XML or YAML. Those of extensions say
    nothing: a resource of one release may hold elements of another.
    """
    for meta in re.findall(rb"<meta\b[^>]*>(.*?)</meta>", head, re.DOTALL):
        yield from re.findall(rb"<profile\s+value\s*=\s*[\"']([^\"']*)", meta)
    depth: int | None = None
    key = b""
    for line in head.splitlines():
        if depth is not None and line.strip() and len(line) - len(line.lstrip(b" ")) <= depth:
            depth = None
        start = re.match(rb"([ -]*)meta:", line)
        if depth is None and start:
            depth, key = len(start[1]), b""
        if depth is not None:
            # A key or an address at a time; an address is of the key before it.
            for name, url in re.findall(rb"(?:([A-Za-z]+):(?=\s|$))|(http://[^\s\"',\]}]+)", line):
                key = name or key
                if url and key == b"profile":
                    yield url


def _profile_version(url: str) -> FhirVersion | None:
    found = _PROFILE.match(url)
    if found is None:
        return None
    return parse_version(found["path"] or found["version"] or "")
