"""Validation of one resource: https://hl7.org/fhir/R5/validation.html"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from apothecary.api.given import Given, document, said
from apothecary.api.given import release as _release
from apothecary.content.version_hints import hinted_version
from apothecary.errors import Issue, StartError
from apothecary.fhir.releases import FhirVersion
from apothecary.validation import Options
from apothecary.validation import validate as _validate
from apothecary.validation.other_release import release_hint

if TYPE_CHECKING:
    from apothecary.validation.profiles import Profiles

Profile = str | Path | Mapping[str, Any]
"""A profile by canonical url, as a file or as the resource; or a folder or archive: a package of definitions."""


def validate(
    resource: Given,
    release: FhirVersion | str | None = None,
    profiles: Profiles | Profile | Iterable[Profile] = (),
    *,
    disabled: Iterable[str] = (),
    medication_rules: bool = True,
) -> list[Issue]:
    """Every defect of a resource or Bundle, in the order of the document; none is an empty list.

    `resource` is parsed JSON, or its text as JSON, YAML or FHIR XML. `release` overrules what the resource claims to be
    written in; R5 is for those that claim nothing. `profiles` are what `load_profiles` takes or has made.
    `disabled` are rule ids; without `medication_rules` only what the specification says is checked.

    >>> from apothecary import validate
    >>> for issue in validate({"resourceType": "Medication", "status": "actve"}):
    ...     print(issue.severity, issue.rule, issue.expression[0], issue.remedy, sep="; ")
    warning; dom-6; Medication; Change the element so that the invariant holds.
    error; code-not-in-value-set; Medication.status; Did you mean 'active'?
    >>> validate(b'{"resourceType": "Medication", "status": "active"}', release="R4", disabled=["dom-6"])
    []

    Raises TypeError for what cannot be a resource, BadRequest for another release, StartError for a profile that is not
    at hand. Bad text is an issue, with line and column in its diagnostics.
    """
    version = _release(release)
    read = document(resource, version)
    found = [replace(one.issue, diagnostics=said(one)) for one in read.issues]
    if not read.readable:
        return found
    known = _known(profiles)
    if version is None:
        version = hinted_version(read.value) or (known.version_of(read.value) if known else None) or FhirVersion.R5
    options = Options(disabled=frozenset(disabled), medication_rules=medication_rules, profiles=known)
    issues = _validate(read.value, version, options=options)
    hint = release_hint(read.value, version, issues, options) if issues else None
    return [*found, *([] if hint is None else [hint]), *issues]


def _known(profiles: Profiles | Profile | Iterable[Profile]) -> Profiles | None:
    """The profiles at hand; None without any, so that nothing more is loaded."""
    if isinstance(profiles, str | Path | Mapping):
        return load_profiles(profiles)
    if isinstance(profiles, Iterable):
        given = tuple(profiles)
        return load_profiles(*given) if given else None
    return profiles


def load_profiles(*given: Profile) -> Profiles:
    """Profiles for `validate`, read once for many resources: https://hl7.org/fhir/R5/profiling.html

    Each is a canonical url, a file with a StructureDefinition, the resource itself, or a package: a folder or an
    archive (.tgz) whose StructureDefinitions, ValueSets and CodeSystems are then known. A resource is checked against
    those of its type that are named; a profile of a package is checked where a resource claims it, or its url is named
    beside the package. What a package depends on is read from the cache `~/.fhir/packages`, where it is there.

    >>> from apothecary import load_profiles, validate
    >>> profiles = load_profiles("resources/StructureDefinition")
    >>> validate({"resourceType": "Medication", "status": "active"}, profiles=profiles)[0].rule
    'dom-6'

    Raises StartError where one cannot be read, or is not at hand.
    """
    from apothecary.content.package_cache import DEFAULT_CACHE, gather
    from apothecary.content.packages import read_definition
    from apothecary.validation.profiles import Profiles

    resources: list[Mapping[str, Any]] = []
    needed: list[Mapping[str, Any]] = []
    asked: list[str] = []
    for one in given:
        if isinstance(one, str) and ("://" in one or one.startswith("urn:")):
            asked.append(one)
        elif isinstance(one, Mapping):
            if one.get("resourceType") != "StructureDefinition" or not isinstance(one.get("url"), str):
                raise StartError("a profile is a StructureDefinition with a url")
            resources.append(one)
            asked.append(one["url"])
        elif Path(one).is_dir() or Path(one).name.endswith((".tgz", ".tar.gz")):
            found = gather([Path(one)], DEFAULT_CACHE.expanduser())
            resources += found.given
            needed += found.indexed
        else:
            resources.append(read_definition(Path(one)))
            asked.append(resources[-1]["url"])
    return Profiles(resources, asked, needed)
