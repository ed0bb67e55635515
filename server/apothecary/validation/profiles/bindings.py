"""The value sets that a profile binds an element to (https://hl7.org/fhir/R5/elementdefinition.html#ElementDefinition.binding)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from apothecary.fhir.references import split_canonical
from apothecary.fhir.structures import Binding, Element
from apothecary.validation.profiles.model import Bound
from apothecary.validation.profiles.tree import extended

_MAXIMUM = "http://hl7.org/fhir/StructureDefinition/elementdefinition-maxValueSet"
# Before R5 an additional binding is an extension with parts of the same names.
_ADDITIONAL = frozenset(
    {
        "http://hl7.org/fhir/tools/StructureDefinition/additional-binding",
        "http://hl7.org/fhir/5.0/StructureDefinition/extension-ElementDefinition.binding.additional",
    }
)
# The purposes that ask something of an instance, and how strictly: what is `current` binds new records, and old ones
# may have other codes. The others (minimum, candidate, preferred, ui, starter, component) are for systems and authors.
_STRENGTHS: Mapping[str, Literal["required", "extensible"]] = {
    "maximum": "required",
    "required": "required",
    "extensible": "extensible",
    "current": "extensible",
}


def bound(published: Any, element: Element | None) -> tuple[Bound, ...]:
    """What an ElementDefinition.binding asks of codes, without what the type itself does (`element`)."""
    if not isinstance(published, dict):
        return ()
    known = element.bindings if element is not None else ()
    found = [one for one in _all(published) if not _is_known(one.binding, known)]
    return tuple(found)


def contexts(listed: Any) -> tuple[tuple[str, frozenset[str]], ...]:
    """UsageContexts as pairs of their code and what it may be, each as `system|code`; what is no code is passed over
    (https://hl7.org/fhir/R5/metadatatypes.html#UsageContext).
    """
    found = []
    for item in listed if isinstance(listed, list) else ():
        code = item.get("code") if isinstance(item, dict) else None
        if isinstance(code, dict):
            concept = item.get("valueCodeableConcept")
            codings = concept.get("coding") if isinstance(concept, dict) else None
            values = {_named(coding) for coding in (codings if isinstance(codings, list) else ())}
            found.append((_named(code), frozenset(values)))
    return tuple(found)


def _named(coding: Any) -> str:
    return f"{coding.get('system')}|{coding.get('code')}" if isinstance(coding, dict) else ""


def _all(published: Mapping[str, Any]) -> Iterator[Bound]:
    strength, value_set = published.get("strength"), published.get("valueSet")
    if strength in ("required", "extensible") and isinstance(value_set, str):
        yield Bound(Binding(strength, value_set))
    maximum = extended(published, _MAXIMUM)
    if isinstance(maximum, str):
        yield Bound(Binding("required", maximum), "maximum")
    for item in _additional(published):
        purpose, value_set = item.get("purpose"), item.get("valueSet")
        if isinstance(purpose, str) and purpose in _STRENGTHS and isinstance(value_set, str):
            usage = item.get("usage")
            yield Bound(Binding(_STRENGTHS[purpose], value_set), purpose, contexts(usage), item.get("any") is True)


def _additional(published: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    listed = published.get("additional")
    yield from (item for item in (listed if isinstance(listed, list) else ()) if isinstance(item, dict))
    extensions = published.get("extension")
    for extension in extensions if isinstance(extensions, list) else ():
        parts = extension.get("extension") if isinstance(extension, dict) else None
        if isinstance(parts, list) and str(extension.get("url")) in _ADDITIONAL:
            yield _of_parts([part for part in parts if isinstance(part, dict)])


def _of_parts(parts: list[dict[str, Any]]) -> Mapping[str, Any]:
    found: dict[str, Any] = {}
    for part in parts:
        value = next((item for name, item in part.items() if name.startswith("value")), None)
        if part.get("url") == "usage":
            found.setdefault("usage", []).append(value)
        else:
            found[str(part.get("url"))] = value
    return found


def _is_known(one: Binding, known: tuple[Binding, ...]) -> bool:
    url = split_canonical(one.value_set)[0]
    return any(each.value_set == url and each.strength in (one.strength, "required") for each in known)
