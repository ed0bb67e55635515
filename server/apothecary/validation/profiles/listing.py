"""What profiles ask of systems and not of instances, for reports: what they mark as mustSupport, and their obligations
(https://hl7.org/fhir/R5/obligations.html).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from apothecary.fhir.releases import FhirVersion, parse_version
from apothecary.validation.profiles.compile import CORE
from apothecary.validation.profiles.registry import IMPOSES, Profiles
from apothecary.validation.profiles.tree import Branch, extensions

_OBLIGATION = CORE + "obligation"
_COMPLIES = CORE + "structuredefinition-compliesWithProfile"


class Obligation(NamedTuple):
    """What actors are to do with the elements, by id; none are the whole resource. No actor is every one."""

    code: str
    actors: tuple[str, ...]
    elements: tuple[str, ...]


class Listing(NamedTuple):
    """A profile on a resource type that can be used: what it marks as mustSupport
    (https://hl7.org/fhir/R5/conformance-rules.html#mustSupport), its obligations, the profiles that it imposes, and
    those that it claims to comply with, which is not tested.
    """

    profile: str
    type: str
    must_support: tuple[str, ...]
    obligations: tuple[Obligation, ...]
    imposes: tuple[str, ...]
    complies_with: tuple[str, ...]


def listings(profiles: Profiles) -> list[Listing]:
    """All profiles on resources that say one of these; those that cannot be used are left out."""
    found = []
    for resource in profiles.definitions():
        url = str(resource["url"])
        claimed = resource.get("fhirVersion")
        version = (parse_version(claimed) if isinstance(claimed, str) else None) or FhirVersion.R5
        if resource.get("type") == "Extension" or profiles.usable(url, version) is None:
            continue
        branches = [*profiles.tree(url, version).all()]
        one = Listing(
            url,
            str(resource["type"]),
            tuple(branch.id for branch in branches if branch.definition.get("mustSupport") is True),
            tuple(_obligations(resource, branches)),
            tuple(named for named in extensions(resource, IMPOSES) if isinstance(named, str)),
            tuple(named for named in extensions(resource, _COMPLIES) if isinstance(named, str)),
        )
        if any(one[2:]):
            found.append(one)
    return found


def _obligations(resource: Mapping[str, Any], branches: list[Branch]) -> Iterator[Obligation]:
    owners = [(resource, ()), *((branch.definition, (branch.id,)) for branch in branches)]
    for owner, place in owners:
        listed = owner.get("extension")
        for extension in listed if isinstance(listed, list) else ():
            if isinstance(extension, dict) and extension.get("url") == _OBLIGATION:
                elements = tuple(map(str, extensions(extension, "elementId"))) or place
                for code in extensions(extension, "code"):
                    yield Obligation(str(code), tuple(map(str, extensions(extension, "actor"))), elements)
