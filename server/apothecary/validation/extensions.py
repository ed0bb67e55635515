"""Extensions: absolute urls, and for those published with a release their place, value and parts.

https://hl7.org/fhir/R5/extensibility.html. R5 publishes its extensions apart from the core package, so there only
the url and the structure are checked, unless profiles are given that define them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from apothecary.fhir.definitions import Context, Definitions, ExtensionDefinition
from apothecary.fhir.structures import Structure
from apothecary.suggestions import did_you_mean
from apothecary.validation.diagnostics import shown
from apothecary.validation.rules import BASE
from apothecary.validation.run import At, Run, pointer_of

_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:\S+")
_EXTENSIONS = frozenset({"extension", "modifierExtension"})

_PUBLISHED = "http://hl7.org/fhir/StructureDefinition/"
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
        contexts = run.options.profiles.contexts(url) if run.options.profiles is not None else ()
        _check_context(url, contexts, at, run)
        return
    if definition.is_modifier != modifier:
        expected = "modifierExtension" if definition.is_modifier else "extension"
        run.report(BASE["extension-modifier"], at, f"has the url {url}, which belongs into {expected}", key="url")
    _check_context(url, definition.contexts, at, run)


def _check_context(url: str, contexts: tuple[Context, ...], at: tuple[At, str, int | None], run: Run) -> None:
    if contexts and not _in_context(url, contexts, at[0], run):
        allowed = ", ".join(context.expression for context in contexts[:8])
        run.report(BASE["extension-context"], at, f"has the url {url}, which stands only on {allowed}", key="url")


def _check_content(definition: ExtensionDefinition, value: dict[str, Any], at: At, run: Run) -> None:
    parts = value.get("extension")
    values = [key for key in value if key.startswith("value") or key.startswith("_value")]
    rule = BASE["extension-value"]
    if definition.types:
        allowed = {f"value{item.code[0].upper()}{item.code[1:]}" for item in definition.types}
        for key in values:
            if key.lstrip("_") not in allowed:
                text = f"is not a form of the value of {definition.url}: {', '.join(sorted(allowed))}"
                run.report(rule, at, text, key=key)
        if definition.value_min and not values and not parts:
            run.report(rule, at, f"has no value, but {definition.url} is nothing without one")
    elif values:
        run.report(rule, at, f"has a value, but {definition.url} has parts instead", key=values[0])
    if isinstance(parts, list) and definition.extensions:
        _check_parts(definition, parts, at, run)


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
    for context in contexts:
        if context.type == "extension":
            return True  # Its place is inside another extension, whose own definition lists its parts.
        if context.type != "element" or context.expression in names:
            return True
    return not names.isdisjoint(_MORE_CONTEXTS.get(url, ()))


def _owner_names(run: Run, owner: At) -> set[str]:
    """The names under which a context may know the element that has the extension: its path, its type, the types
    above.
    """
    pointer = pointer_of(owner)
    base = pointer_of(run.resource_at)
    tables = run.tables
    structure: Structure = tables.structure(run.resource["resourceType"])
    # "Element" is published on what in fact marks whole resources (structuredefinition-wg): it means anything.
    names = {structure.name, *_ancestors(tables, structure.name), "Element"}
    for step in pointer[len(base) :]:
        if isinstance(step, int):
            continue
        found = structure.properties.get(step.lstrip("_"))
        if found is None:
            return names
        element = found.element
        # Inside a data type the path starts at that type, as the element tables have it.
        names = {element.path, element.path.removesuffix("[x]"), found.type, *_ancestors(tables, found.type), "Element"}
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
