"""The TerminologyCapabilities, computed from what does the work: https://hl7.org/fhir/R5/terminologycapabilities.html

The parameters of `$expand` come from the operation, the code systems from the store and the specification's tables.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import islice

import msgspec

from apothecary import __version__
from apothecary.fhir.definitions import definitions
from apothecary.fhir.json import JSON, dumps
from apothecary.fhir.releases import FhirVersion
from apothecary.fhir.temporal import instant
from apothecary.interactions.capabilities import DESCRIPTION
from apothecary.interactions.service import Service
from apothecary.interactions.terminology import held
from apothecary.terminology.sources import RELEASES

# More code systems than an answer that is read by clients should list.
MOST_LISTED = 5000
_PAGE = 20
# What these say of themselves is not to be answered from.
_NOT_ASKED = frozenset({"not-present", "example", "supplement"})

# What `ValueSet?code=` looks at, in all releases: https://hl7.org/fhir/R5/valueset-code-search-support.html
_CODE_SEARCH, _CODE_SEARCH_BEFORE = "in-compose-or-expansion", "explicit"


class _Head(msgspec.Struct):
    """What is told of a code system; its concepts are passed over."""

    url: str = ""
    version: str | None = None
    content: str = "complete"


_HEAD = msgspec.json.Decoder(_Head)


def terminology_capabilities(service: Service, version: FhirVersion, base: str) -> tuple[bytes, str]:
    """The statement as JSON text, and its ETag."""
    body = dumps(statement(service, version, base))
    return body, f'W/"{hashlib.sha256(body).hexdigest()[:16]}"'


def statement(service: Service, version: FhirVersion, base: str) -> JSON:
    """The TerminologyCapabilities of one base."""
    updated = service.reader.state("content synced")
    expand = service.operations.get("expand")
    # The list is the same for all bases; nothing is kept for each name of this server that a client writes.
    systems = held(service, version, base).remembered(("code systems",), lambda: code_systems(service, version))
    return {
        "resourceType": "TerminologyCapabilities",
        "version": __version__,
        "name": "Apothecary",
        "title": "Apothecary's terminology service",
        "status": "active",
        "date": instant(int(updated) if updated else 0),
        "publisher": "Apothecary",
        "kind": "instance",
        "software": {"name": "Apothecary", "version": __version__},
        "implementation": {"description": DESCRIPTION, "url": base},
        **({"codeSystem": systems} if systems else {}),
        "expansion": {
            "hierarchical": True,
            "paging": True,
            "incomplete": False,
            "parameter": [
                {"name": one.name, "documentation": one.documentation}
                for one in sorted(expand.arguments if expand is not None else (), key=lambda one: one.name)
            ],
            "textFilter": (
                "All words must begin a word of the code or display, without regard to case and accents; with "
                "includeDesignations of designations too."
            ),
        },
        "codeSearch": _CODE_SEARCH if version is FhirVersion.R5 else _CODE_SEARCH_BEFORE,
        "validateCode": {"translations": True},
        **({"translation": {"needsMap": False}} if "translate" in service.operations else {}),
    }


def code_systems(service: Service, version: FhirVersion) -> list[JSON]:
    """The code systems that are held, by url; those of the store before those that the specification publishes."""
    found: dict[str, dict[str | None, tuple[str, bool]]] = {}
    for head in (*_stored(service, version), *_published()):
        versions = found.setdefault(head.url, {})
        versions.setdefault(head.version, (head.content, not versions))
    return [_told(url, versions, version) for url, versions in sorted(found.items())]


def _told(url: str, versions: dict[str | None, tuple[str, bool]], version: FhirVersion) -> JSON:
    content = next(iter(versions.values()))[0]
    told: JSON = {"uri": url}
    named = [(code, default) for code, (_, default) in versions.items() if code is not None]
    if named:
        told["version"] = [{"code": code, "isDefault": default, "compositional": False} for code, default in named]
    if version is FhirVersion.R5:
        told["content"] = content
    told["subsumption"] = content not in _NOT_ASKED
    return told


def _stored(service: Service, version: FhirVersion) -> Iterator[_Head]:
    """Those of the store; of each url the one that is meant without a version first."""
    if not service.registry(version).serves("CodeSystem"):
        return
    resolver = held(service, version, "").resolver
    heads: dict[str, dict[str | None, _Head]] = {}
    for one in islice(service.reader.all_of_type("CodeSystem", page=_PAGE), MOST_LISTED):
        head = _HEAD.decode(one.body or b"{}")
        if head.url and head.content != "supplement":
            heads.setdefault(head.url, {}).setdefault(head.version, head)
    for url, versions in heads.items():
        if len(versions) == 1:
            yield from versions.values()
        else:
            yield from (versions[one] for one in resolver.versions(url) if one in versions)


def _published() -> Iterator[_Head]:
    for release in RELEASES:
        table = definitions(release)
        for url in table.code_system_urls():
            found = table.code_system(url)
            if found is not None:
                yield _Head(url, found.version or release.number, found.content)
