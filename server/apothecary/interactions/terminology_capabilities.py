"""The TerminologyCapabilities, computed from what does the work: https://hl7.org/fhir/R5/terminologycapabilities.html

The parameters of `$expand` come from the operation, the code systems from the store and the specification's tables.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from apothecary import __version__
from apothecary.fhir.definitions import definitions
from apothecary.fhir.hl7_terminology import hl7_terminology
from apothecary.fhir.json import JSON, dumps
from apothecary.fhir.releases import FhirVersion
from apothecary.fhir.temporal import instant
from apothecary.interactions.capabilities import DESCRIPTION
from apothecary.interactions.code_system_heads import Head
from apothecary.interactions.service import Service
from apothecary.interactions.terminology import Held, held
from apothecary.terminology.sources import RELEASES

# What these say of themselves is not to be answered from.
_NOT_ASKED = frozenset({"not-present", "example", "supplement"})

# What `ValueSet?code=` looks at, in all releases: https://hl7.org/fhir/R5/valueset-code-search-support.html
_CODE_SEARCH, _CODE_SEARCH_BEFORE = "in-compose-or-expansion", "explicit"


def terminology_capabilities(service: Service, version: FhirVersion, base: str) -> tuple[bytes, str]:
    """The statement as JSON text, and its ETag."""
    body = dumps(statement(service, version, base))
    return body, f'W/"{hashlib.sha256(body).hexdigest()[:16]}"'


def statement(service: Service, version: FhirVersion, base: str) -> JSON:
    """The TerminologyCapabilities of one base."""
    updated = service.reader.state("content synced")
    expand = service.operations.get("expand")
    # The list is the same for all bases; nothing is kept for each name of this server that a client writes.
    own = held(service, version, base)
    systems = own.remembered(("code systems",), lambda: code_systems(own, version))
    return {
        "resourceType": "TerminologyCapabilities",
        "version": __version__,
        "name": "Apothecary",
        "title": "Apothecary's terminology service",
        "status": "active",
        "date": instant(int(updated) if updated else 0),
        "publisher": "Apothecary",
        **({"description": _untold(own.stored.heads.left, base)} if own.stored.heads.left else {}),
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


def _untold(left: int, base: str) -> str:
    return (
        f"{left} more code systems are held than codeSystem lists here. All are answered for: "
        f"{base}/CodeSystem?_elements=url,version lists them, in pages."
    )


def code_systems(held: Held, version: FhirVersion) -> list[JSON]:
    """The code systems that are held, by url; those of the store before those that the specification publishes."""
    found: dict[str, dict[str | None, tuple[str, bool]]] = {}
    for head in (*_stored(held), *_published()):
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


def _stored(held: Held) -> Iterator[Head]:
    """Those of the store; of each url the one that is meant without a version first."""
    heads: dict[str, dict[str | None, Head]] = {}
    for head in held.stored.heads.read:
        if head.url and head.content != "supplement":
            heads.setdefault(head.url, {}).setdefault(head.version, head)
    for url, versions in heads.items():
        if len(versions) == 1:
            yield from versions.values()
        else:
            yield from (versions[one] for one in held.resolver.versions(url) if one in versions)


def _published() -> Iterator[Head]:
    shared = hl7_terminology()
    for url in shared.code_system_urls():
        found = shared.code_system(url)
        if found is not None:
            yield Head(url, found.version, found.content)
    for release in RELEASES:
        table = definitions(release)
        for url in table.code_system_urls():
            found = table.code_system(url)
            if found is not None:
                yield Head(url, found.version or release.number, found.content)
