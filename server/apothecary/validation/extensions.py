"""Extensions: absolute urls, and for those published for a release their place, value and parts.

https://hl7.org/fhir/R5/extensibility.html and https://hl7.org/fhir/extensions/. The others are checked where profiles
are given that define them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from functools import cache
from typing import Any

from apothecary.fhir.definitions import Context, Definitions, ExtensionDefinition
from apothecary.fhir.releases import FhirVersion
from apothecary.fhir.structures import Binding, Structure, TypeRef
from apothecary.suggestions import did_you_mean, nearest
from apothecary.validation.bindings import BindingCheck, binding_check, code_defect
from apothecary.validation.diagnostics import shown
from apothecary.validation.references import check_reference
from apothecary.validation.rules import BASE
from apothecary.validation.run import At, Run, pointer_of

_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:\S+")
# Each release adds its own version to it, and what an older one says of may have become normative in a later.
_GROWING = "http://hl7.org/fhir/ValueSet/FHIR-version"
# Addresses that stand for others in texts that teach: nobody publishes anything there (RFC 2606).
_EXAMPLE = re.compile(r"https?://(?:[^/]+\.)?example\.(?:org|com|net)(?:[/:#?]|$)")
_EXTENSIONS = frozenset({"extension", "modifierExtension"})

_PUBLISHED = "http://hl7.org/fhir/StructureDefinition/"
# Among so many findings of a document the url that was meant is looked for.
_SUGGESTED = 100
# Places where HL7's own definitions use these extensions although the published contexts forget them.
_MORE_CONTEXTS: Mapping[str, frozenset[str]] = {
    f"{_PUBLISHED}elementdefinition-bindingName": frozenset({"OperationDefinition.parameter.binding"}),
    f"{_PUBLISHED}regex": frozenset({"ElementDefinition.type"}),
    f"{_PUBLISHED}structuredefinition-fhir-type": frozenset({"ElementDefinition.type"}),
    f"{_PUBLISHED}structuredefinition-normative-version": frozenset({"Element"}),
    f"{_PUBLISHED}translation": frozenset({"ValueSet.expansion.contains"}),
    f"{_PUBLISHED}valueset-concept-comments": frozenset({"CodeSystem.concept"}),
}


def check_extension(value: dict[str, Any], at: At, run: Run) -> None:
    """Check the url of an Extension, and all that its definition says about its inside."""
    url = value.get("url")
    if not isinstance(url, str) or (at is not None and at[0] is not None and at[0][1] in _EXTENSIONS):
        return  # A part of another extension is checked with it.
    if ":" not in url or _ABSOLUTE.fullmatch(url) is None:
        run.report(BASE["extension-url"], at, f"is {shown(url)}, which is not an absolute URL", key="url")
        return
    definition = run.tables.extension(url)
    if definition is not None:
        _check_content(definition, value, at, run)
    elif run.options.profiles is not None:
        from apothecary.validation.conformance import check_extension as check_by_profiles

        check_by_profiles(run.options.profiles, value, at, run)


def check_extensions(value: dict[str, Any], at: At, run: Run, modifier: bool) -> None:
    """Check that a known extension may stand at its place; `modifier` says that it stands in modifierExtension."""
    url = value.get("url")
    if not isinstance(url, str) or at is None:
        return
    definition = run.tables.extension(url)
    if definition is None:
        profiles = run.options.profiles
        _check_context(url, profiles.contexts(url) if profiles is not None else (), at, run)
        if profiles is None or profiles.find("StructureDefinition", url) is None:
            _report_unknown(url, at, run, modifier)
        return
    if definition.is_modifier != modifier:
        expected = "modifierExtension" if definition.is_modifier else "extension"
        run.report(BASE["extension-modifier"], at, f"has the url {url}, which belongs into {expected}", key="url")
    _check_context(url, definition.contexts, at, run)


def _report_unknown(url: str, at: tuple[At, str, int | None], run: Run, modifier: bool) -> None:
    """Tell of a modifier that nobody here can understand, and of a name among HL7's own that HL7 does not publish."""
    if modifier and not _EXAMPLE.match(url):
        run.report(BASE["extension-modifier-unknown"], at, f"has the url {url}, which nothing here defines", key="url")
    elif url.startswith(_PUBLISHED):
        text = f"has the url {url}, which HL7 does not publish for {run.tables.version}"
        # Looking for the name that was meant costs milliseconds: whoever writes many learns from the first.
        remedy = _remedy(url, run.tables) if len(run.findings) < _SUGGESTED else None
        run.report(BASE["extension-unknown"], at, text, key="url", remedy=remedy)


def _remedy(url: str, tables: Definitions) -> str | None:
    """The url that was probably meant, by what stands behind the address that all have in common."""
    names = [name.removeprefix(_PUBLISHED) for name in tables.extension_urls() if name.startswith(_PUBLISHED)]
    name = nearest(url.removeprefix(_PUBLISHED), names)
    return None if name is None else f"Did you mean {_PUBLISHED + name!r}?"


def _check_context(url: str, contexts: tuple[Context, ...], at: tuple[At, str, int | None], run: Run) -> None:
    if contexts and not _in_context(url, contexts, at[0], run):
        allowed = ", ".join(context.expression for context in contexts[:8])
        run.report(BASE["extension-context"], at, f"has the url {url}, which stands only on {allowed}", key="url")


def _check_content(definition: ExtensionDefinition, value: dict[str, Any], at: At, run: Run) -> None:
    parts = value.get("extension")
    values = [key for key in value if key.startswith("value") or key.startswith("_value")]
    rule = BASE["extension-value"]
    if definition.types:
        allowed = {f"value{item.code[0].upper()}{item.code[1:]}": item for item in definition.types}
        for key in values:
            if key.lstrip("_") not in allowed:
                text = f"is not a form of the value of {definition.url}: {', '.join(sorted(allowed))}"
                run.report(rule, at, text, key=key)
            elif key in allowed:
                _check_value(definition, allowed[key], value[key], (at, key, None), run)
        if definition.value_min and not values and not parts:
            run.report(rule, at, f"has no value, but {definition.url} is nothing without one")
    elif values:
        run.report(rule, at, f"has a value, but {definition.url} has parts instead", key=values[0])
    if isinstance(parts, list) and definition.extensions:
        _check_parts(definition, parts, at, run)


def _check_value(
    definition: ExtensionDefinition, declared: TypeRef, value: Any, at: tuple[At, str, None], run: Run
) -> None:
    """Check a value against the value set and the targets that the definition adds to what every extension may hold."""
    if definition.binding is not None and definition.binding.value_set == _GROWING:
        return
    if isinstance(value, dict):
        if declared.code == "Reference" and declared.targets and "Resource" not in declared.targets:
            check_reference(value, at, run, declared.targets)
        check = _binding_check(run.tables.version, definition.binding, declared.code)
        if check is not None:
            check(value, at, run)
    elif isinstance(value, str) and definition.binding is not None:
        wrong = code_defect(run.tables.version, definition.binding, value)
        if wrong is not None and definition.binding.strength in ("required", "extensible"):
            run.report(wrong.rule, at[0], wrong.text, key=at[1], remedy=wrong.remedy)


@cache
def _binding_check(version: FhirVersion, binding: Binding | None, type_name: str) -> BindingCheck | None:
    return None if binding is None else binding_check(version, binding, type_name)


def _check_parts(definition: ExtensionDefinition, parts: list[Any], at: At, run: Run) -> None:
    known = {part.url: part for part in definition.extensions}
    count: Counter[str] = Counter()
    for index, part in enumerate(parts):
        url = part.get("url") if isinstance(part, dict) else None
        if not isinstance(url, str):
            continue
        count[url] += 1
        if url in known:
            _check_content(known[url], part, (at, "extension", index), run)
        elif _ABSOLUTE.fullmatch(url) is None:
            text = f"has the url {shown(url)}, which is no part of {definition.url}"
            remedy = did_you_mean(url, known)
            run.report(BASE["extension-value"], at, text, key="extension", index=index, remedy=remedy)
    for url, part in known.items():
        if count[url] < part.min:
            run.report(BASE["extension-value"], at, f"lacks the part {url} of {definition.url}")
        elif part.max is not None and count[url] > part.max:
            text = f"has the part {url} of {definition.url} {count[url]} times, at most {part.max} are allowed"
            run.report(BASE["extension-value"], at, text)


def _in_context(url: str, contexts: tuple[Context, ...], owner: At, run: Run) -> bool:
    names = _owner_names(run, owner)
    extension = _owner_extension(run, owner)
    for context in contexts:
        if context.type == "extension":
            if context.expression == extension:
                return True
        elif context.type != "element" or context.expression in names:
            return True
    return not names.isdisjoint(_MORE_CONTEXTS.get(url, ()))


def _owner_extension(run: Run, owner: At) -> str | None:
    """The url of the extension that has the extension, itself or on its value; `url#part` for a part of one; None on
    any other element.
    """
    if owner is not None and owner[1].lstrip("_").startswith("value") and owner[0] is not None:
        owner = owner[0]
    if owner is None or owner[1] not in _EXTENSIONS:
        return None
    value: Any = run.document
    for step in pointer_of(owner):
        value = value[step]
    url = str(value.get("url"))
    outer = _owner_extension(run, owner[0])
    return url if outer is None or ":" in url else f"{outer}#{url}"


@cache
def _interfaces(tables: Definitions, name: str) -> frozenset[str]:
    """The interfaces that a resource type has, by their elements (https://hl7.org/fhir/R5/types.html#interfaces)."""
    elements = tables.structure(name).properties
    found = {"CanonicalResource"} if {"url", "version", "status", "date", "publisher"} <= elements.keys() else set()
    if found and {"approvalDate", "lastReviewDate", "effectivePeriod"} <= elements.keys():
        found.add("MetadataResource")
    return frozenset(found)


def _owner_names(run: Run, owner: At) -> set[str]:
    """The names under which a context may know the element that has the extension: its path, its type, the types
    above.
    """
    pointer = pointer_of(owner)
    base = pointer_of(run.resource_at)
    tables = run.tables
    structure: Structure = tables.structure(run.resource["resourceType"])
    # "Element" is published on what in fact marks whole resources (structuredefinition-wg): it means anything.
    names = {structure.name, *_ancestors(tables, structure.name), *_interfaces(tables, structure.name), "Element"}
    for step in pointer[len(base) :]:
        if isinstance(step, int):
            continue
        found = structure.properties.get(step.lstrip("_"))
        if found is None:
            return names
        element = found.element
        # Inside a data type the path starts at that type, as the element tables have it.
        names = {element.path, element.path.removesuffix("[x]"), found.type, *_ancestors(tables, found.type), "Element"}
        # It may be that of any type above, which all have it: `Resource.meta`, `DomainResource.text`.
        names |= {f"{above}.{element.name}" for above in _ancestors(tables, structure.name)}
        if found.structure != found.type:
            names.add(found.structure)
        structure = tables.structure(found.structure)
        if structure.name == "Resource":
            return names
    return names


def _ancestors(tables: Definitions, name: str) -> list[str]:
    found = []
    base = tables.structure(name).base if tables.has_structure(name) else None
    while base is not None and tables.has_structure(base):
        found.append(base)
        base = tables.structure(base).base
    return found
