"""The profiles that a resource or an extension is checked against: those that it claims, and those that were asked for
(https://hl7.org/fhir/R5/profiling.html#resources).
"""

from __future__ import annotations

import re
from typing import Any

from apothecary.errors import StartError
from apothecary.fhir.references import split_canonical
from apothecary.validation.conformance.check import Checker
from apothecary.validation.conformance.parts import check_parts
from apothecary.validation.conformance.support import Support
from apothecary.validation.diagnostics import shown
from apothecary.validation.fhirpath import Node
from apothecary.validation.profiles import CORE, Profiles
from apothecary.validation.profiles.model import Profile
from apothecary.validation.profiles.registry import claims, is_core
from apothecary.validation.rules import BASE
from apothecary.validation.run import At, Run
from apothecary.validation.vital_signs import vital_sign

# The profiles that let Basic stand for a type of another release. They ask for its cross-version extensions, which are
# checked as such: https://hl7.org/fhir/uv/xver-r5.r4/0.1.0/StructureDefinition-profile-ClinicalUseDefinition.html
_CROSS_VERSION = re.compile(r"http://hl7\.org/fhir/[0-9]\.[0-9]/StructureDefinition/profile-[A-Z][A-Za-z]+")

# Those of the specification alone, compiled once for all.
_PUBLISHED = Profiles(())


def check_resource(profiles: Profiles | None, resource: dict[str, Any], at: At, run: Run) -> None:
    """Check a resource against the profiles that it claims, those that were asked for its type, and that of the vital
    sign that it is. Without `profiles` those of the specification are at hand.
    """
    profiles = _PUBLISHED if profiles is None else profiles
    type_name = str(resource["resourceType"])
    wanted = {
        **_claimed(profiles, resource, type_name, at, run),
        **_asked(profiles, type_name, at, run),
    }
    for profile in wanted.values():
        _check(profiles, profile, resource, at, run)
    _check_vital_sign(profiles, wanted, resource, at, run)


def _check(profiles: Profiles, profile: Profile, resource: dict[str, Any], at: At, run: Run) -> None:
    if run.options.coverage is not None:
        run.options.coverage.profiles.setdefault(profile.canonical)
    Checker(Support(profiles, run), profile).check(Node(resource, profile.type, profile.type), at)


def _check_vital_sign(
    profiles: Profiles, checked: dict[str, Profile], resource: dict[str, Any], at: At, run: Run
) -> None:
    """Check a vital sign against its profile; where that finds something, it is told why it was asked."""
    rule = BASE["vital-sign"]
    found = vital_sign(resource, run.tables)
    profile = None if found is None else profiles.usable(found.profile, run.tables.version)
    if found is None or profile is None or profile.canonical in checked or rule.id in run.options.disabled:
        return
    before = len(run.findings)
    _check(profiles, profile, resource, at, run)
    if len(run.findings) > before:
        run.report(rule, at, f"is a vital sign by its LOINC code {found.code}, and so has to conform to {profile.url}")


def check_extension(profiles: Profiles, extension: dict[str, Any], at: At, run: Run) -> None:
    """Check an extension against its own definition, if that is at hand: its parts, and whether it is a modifier."""
    url = extension.get("url")
    resource = profiles.find("StructureDefinition", url) if isinstance(url, str) else None
    if resource is None or resource.get("type") != "Extension":
        return
    try:
        profile = profiles.profile(str(url), run.tables.version)
    except StartError as error:
        run.unchecked(f"{url}: {error}")
        run.report(BASE["profile-not-checked"], at, f"is not checked: {error}")
        return
    Checker(Support(profiles, run), profile).check(Node(extension, "Extension", "Extension"), at)
    check_parts(profile.root, extension, at, run, str(url))
    if at is not None and profile.modifier != (at[1] == "modifierExtension"):
        expected = "modifierExtension" if profile.modifier else "extension"
        run.report(BASE["extension-modifier"], at, f"has the url {url}, which belongs into {expected}", key="url")


def _claimed(profiles: Profiles, resource: dict[str, Any], type_name: str, at: At, run: Run) -> dict[str, Profile]:
    """The profiles of `meta.profile` by url; one that cannot be of use here is reported."""
    found: dict[str, Profile] = {}
    for index, url in claims(resource):
        place = ((at, "meta", None), "profile", index)
        if type_name == "Basic" and _CROSS_VERSION.fullmatch(url):
            continue
        if is_core(url, run.tables) and profiles.find("StructureDefinition", url) is None:
            core_type = split_canonical(url)[0].removeprefix(CORE)
            if core_type not in (type_name, "DomainResource", "Resource"):
                run.report(BASE["profile-type"], place, f"is {shown(url)}, but the resource is a {type_name}")
            continue
        try:
            profile = profiles.profile(url, run.tables.version)
        except StartError as error:
            run.unchecked(f"{url}: {error}")
            run.report(BASE["profile-unknown"], place, f"is not checked: {error}")
            continue
        if profile.type != type_name:
            text = f"is a profile on {profile.type}, but the resource is a {type_name}"
            run.report(BASE["profile-type"], place, text)
            continue
        found[profile.canonical] = profile
    return found


def _asked(profiles: Profiles, type_name: str, at: At, run: Run) -> dict[str, Profile]:
    """The profiles that were asked for this type, by url; it is an error where the release rules one out."""
    found: dict[str, Profile] = {}
    for url in profiles.asked:
        known = profiles.type_of(url, run.tables)
        if known != type_name and (known is not None or type_name not in profiles.types_of(url)):
            continue
        try:
            profile = profiles.profile(url, run.tables.version)
        except StartError as error:
            run.unchecked(f"{url}: {error}")
            run.report(BASE["profile-unusable"], at, f"is not checked against {url}, which was asked for: {error}")
            continue
        found[profile.canonical] = profile
    return found
