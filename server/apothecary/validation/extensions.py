"""Extensions: absolute urls, and for those published for a release their place, value and parts.

https://hl7.org/fhir/R5/extensibility.html and https://hl7.org/fhir/extensions/. The others are checked where profiles
are given that define them.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from typing import Any

from apothecary.fhir.definitions import Context, Definitions, ExtensionDefinition
from apothecary.fhir.releases import FhirVersion
from apothecary.fhir.structures import Binding, TypeRef
from apothecary.suggestions import did_you_mean, nearest
from apothecary.validation.bindings import BindingCheck, binding_check, code_defect
from apothecary.validation.contexts import EXTENSIONS, PUBLISHED, holds_around, in_context
from apothecary.validation.diagnostics import shown
from apothecary.validation.references import check_reference
from apothecary.validation.rules import BASE
from apothecary.validation.run import At, Run

_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:\S+")
# Each release adds its own version to it, and what an older one says of may have become normative in a later.
_GROWING = "http://hl7.org/fhir/ValueSet/FHIR-version"
# Addresses that stand for others in texts that teach: nobody publishes anything there (RFC 2606).
_EXAMPLE = re.compile(r"https?://(?:[^/]+\.)?example\.(?:org|com|net)(?:[/:#?]|$)")
# Among so many findings of a document the url that was meant is looked for.
_SUGGESTED = 100


def check_extension(value: dict[str, Any], at: At, run: Run) -> None:
    """Check the url of an Extension, and all that its definition says about its inside."""
    run.alone = False
    url = value.get("url")
    if not isinstance(url, str) or (at is not None and at[0] is not None and at[0][1] in EXTENSIONS):
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
    run.alone = False
    url = value.get("url")
    if not isinstance(url, str) or at is None:
        return
    definition = run.tables.extension(url)
    if definition is None:
        profiles = run.options.profiles
        if profiles is not None:
            _check_context(url, profiles.contexts(url), at, run)
            _check_invariants(url, value, profiles.context_invariants(url), at, run)
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
    elif url.startswith(PUBLISHED):
        text = f"has the url {url}, which HL7 does not publish for {run.tables.version}"
        # Looking for the name that was meant costs milliseconds: whoever writes many learns from the first.
        remedy = _remedy(url, run.tables) if len(run.findings) < _SUGGESTED else None
        run.report(BASE["extension-unknown"], at, text, key="url", remedy=remedy)


def _remedy(url: str, tables: Definitions) -> str | None:
    """The url that was probably meant, by what stands behind the address that all have in common."""
    names = [name.removeprefix(PUBLISHED) for name in tables.extension_urls() if name.startswith(PUBLISHED)]
    name = nearest(url.removeprefix(PUBLISHED), names)
    return None if name is None else f"Did you mean {PUBLISHED + name!r}?"


def _check_context(url: str, contexts: tuple[Context, ...], at: tuple[At, str, int | None], run: Run) -> None:
    if contexts and not in_context(url, contexts, at[0], run):
        allowed = ", ".join(context.expression for context in contexts[:8])
        run.report(BASE["extension-context"], at, f"has the url {url}, which stands only on {allowed}", key="url")


def _check_invariants(
    url: str, value: dict[str, Any], expressions: tuple[str, ...], at: tuple[At, str, int | None], run: Run
) -> None:
    for expression in expressions:
        if holds_around(expression, value, at[0], run) is False:
            text = f"has the url {url}, which stands only where this is true: {expression}"
            run.report(BASE["extension-context"], at, text, key="url")


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
