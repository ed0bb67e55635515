"""The code system that is meant by a URI that is nearly its own, or by another of its names.

https://hl7.org/fhir/R5/terminologies-systems.html and https://terminology.hl7.org/NamingSystem.html: URIs that differ
in the scheme, in `www.`, in case or at the end; OIDs; what people call a system; where HL7's systems stood before they
moved to terminology.hl7.org; a value set in place of its code system.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache

from apothecary.fhir.caches import short_cache
from apothecary.fhir.definitions import definitions
from apothecary.fhir.hl7_terminology import hl7_terminology
from apothecary.fhir.releases import FhirVersion
from apothecary.validation.mends import SYSTEMS, meant_system, plain

_HOME = "http://terminology.hl7.org/CodeSystem/"
# https://hl7.org/fhir/STU3/terminologies-systems.html
_MOVED = re.compile(
    r"https?://(?:www\.|terminology\.)?hl7\.org/(?:fhir/)?(?:v(?P<model>[23])/)?(?:CodeSystem[/-])?(?P<name>[A-Za-z0-9-]+)/?",
    re.ASCII,
)
_SYMBOLS = re.compile(r"[\W_]+")


@short_cache(4096)
def meant(system: str) -> str | None:
    """The URI of the code system that is meant; None for one that is right, or of which nothing is known."""
    if system in SYSTEMS or _known(system):
        return None
    found = meant_system(system) or _index().get(_key(system))
    if found is None and "hl7.org" in system.lower():
        found = _moved(system) or _published().get(_key(system)) or _of_value_set(system)
    return found


def _known(url: str) -> bool:
    if is_named(url):
        return True
    # Reading all releases is for what may be theirs.
    return "hl7.org" in url and any(definitions(release).has_code_system(url) for release in FhirVersion)


def is_named(url: str) -> bool:
    """Whether HL7 publishes or names a code system of that URI; cheaper than reading any."""
    return url in _named()


@cache
def _named() -> frozenset[str]:
    return frozenset(hl7_terminology().named_systems())


def _moved(url: str) -> str | None:
    """https://hl7.org/fhir/v3/ActCode is http://terminology.hl7.org/CodeSystem/v3-ActCode today."""
    match = _MOVED.fullmatch(url)
    if match is None:
        return None
    name = match["name"] if match["model"] is None else f"v{match['model']}-{match['name']}"
    places = (f"{_HOME}{name}", f"http://hl7.org/fhir/{name}", f"http://hl7.org/fhir/sid/{name}")
    return next((one for one in places if one != url and _known(one)), None)


@cache
def _index() -> Mapping[str, str]:
    """What a system may be called, as a key."""
    return _single(_keys())


@cache
def _published() -> Mapping[str, str]:
    """The code systems of the releases by the key of their URI."""
    return _single((url, _key(url)) for release in FhirVersion for url in definitions(release).code_system_urls())


def _single(pairs: Iterable[tuple[str, str]]) -> Mapping[str, str]:
    """Systems by key; what several are called means none of them."""
    found: dict[str, str | None] = {}
    for url, key in pairs:
        found[key] = url if found.get(key, url) == url else None
    return {key: url for key, url in found.items() if url is not None}


def _keys() -> Iterator[tuple[str, str]]:
    for url, system in hl7_terminology().named_systems().items():
        for other in (url, *system.others, *system.names):
            yield url, _key(other)
        if url.startswith(_HOME):
            yield url, _key(url.removeprefix(_HOME))


def _key(name: str) -> str:
    """What the ways to write a URI or name have in common."""
    name = name.strip()
    if "://" in name:
        return plain(name)
    return name.lower() if name.startswith("urn:") else f" {_SYMBOLS.sub('', name).lower()}"


def _of_value_set(url: str) -> str | None:
    """The only code system that a value set of that url draws on."""
    shared = hl7_terminology().value_set(url)
    if shared is not None:
        included = {one.get("system") for one in shared["compose"].get("include", ())}
    else:
        tables = (definitions(release).value_set(url) for release in FhirVersion)
        included = set(next((one.systems for one in tables if one is not None), ()))
    found = included.pop() if len(included) == 1 else None
    return found if isinstance(found, str) else None
