"""ValueSet and CodeSystem resources of a package -> the codes of a value set, as far as they can be listed
(https://hl7.org/fhir/R5/valueset.html#int-ext).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from apothecary.errors import NotEnumerable, TooCostly, UnknownTerminology
from apothecary.fhir.code_systems import select
from apothecary.fhir.terminology import CodeSystem, ValueSet

# The codes of a canonical url, None where it is not at hand.
FindSet = Callable[[str], ValueSet | None]
FindSystem = Callable[[str], CodeSystem | None]
_Concepts = dict[str, dict[str, str]]


def listed(resource: Mapping[str, Any], find_set: FindSet, find_system: FindSystem) -> ValueSet:
    """The codes of a ValueSet resource: those of its expansion, else of its compose.

    What cannot be listed leaves the answer incomplete: then it says only which systems all codes are of, if that much
    is known.
    """
    url = str(resource.get("url", ""))
    expansion = resource.get("expansion")
    if isinstance(expansion, dict) and _is_whole(expansion):
        concepts: _Concepts = {}
        for item in _nested(expansion, "contains"):
            if item.get("abstract") is not True:
                _add(concepts, item.get("system"), item)
        return ValueSet(url, concepts, tuple(concepts))
    return _composed(url, resource.get("compose"), find_set, find_system)


def _is_whole(expansion: Mapping[str, Any]) -> bool:
    """Whether an expansion is more than one page or an excerpt."""
    count = len(list(_nested(expansion, "contains")))
    total = expansion.get("total")
    unclosed = any(
        "valueset-unclosed" in str(item.get("url")) or "valueset-toocostly" in str(item.get("url"))
        for item in _objects(expansion.get("extension"))
    )
    return count > 0 and not unclosed and not (isinstance(total, int) and total > count)


def _composed(url: str, compose: Any, find_set: FindSet, find_system: FindSystem) -> ValueSet:
    concepts: _Concepts = {}
    systems: list[str] = []
    reason = None if isinstance(compose, dict) else "it has neither an expansion nor a compose"
    bounded = reason is None
    parts = compose if isinstance(compose, dict) else {}
    for include in _objects(parts.get("include")):
        one = _included(url, include, find_set, find_system)
        for system, codes in one.concepts.items():
            concepts.setdefault(system, {}).update(codes)
        systems += [system for system in one.systems if system not in systems]
        if not one.complete:
            reason = one.reason
            bounded = bounded and bool(one.systems)
    for exclude in _objects(parts.get("exclude")):
        one = _included(url, exclude, find_set, find_system)
        for system, codes in one.concepts.items():
            for code in codes:
                concepts.get(system, {}).pop(code, None)
        if not one.complete:
            # What is left out cannot be told, so that no code is certain to be in.
            return ValueSet(url, {}, tuple(systems) if bounded else (), complete=False, reason=one.reason)
    return ValueSet(url, concepts, tuple(systems) if bounded else (), complete=reason is None, reason=reason)


def _included(url: str, include: Mapping[str, Any], find_set: FindSet, find_system: FindSystem) -> ValueSet:
    """One include or exclude, a value set of its own: all that it names must hold a code together."""
    sets = [find_set(name) for name in include.get("valueSet") or () if isinstance(name, str)]
    system = include.get("system")
    found: list[ValueSet] = []
    if isinstance(system, str):
        found.append(_of_system(url, system, include, find_system))
    for one in sets:
        if one is None:
            return ValueSet(url, {}, (), complete=False, reason="it draws on a value set that is not at hand")
        found.append(one)
    if not found:
        return ValueSet(url, {}, (), complete=False, reason="an include names neither a system nor a value set")
    first, *others = found
    if not others:
        return first
    incomplete = next((one for one in found if not one.complete), None)
    if incomplete is not None:
        return ValueSet(url, {}, (), complete=False, reason=incomplete.reason)
    common = {
        name: {code: text for code, text in codes.items() if all(one.contains(name, code) for one in others)}
        for name, codes in first.concepts.items()
    }
    return ValueSet(url, common, tuple(common))


def _of_system(url: str, system: str, include: Mapping[str, Any], find_system: FindSystem) -> ValueSet:
    concepts: _Concepts = {system: {}}
    named = _objects(include.get("concept"))
    if named:
        for item in named:
            _add(concepts, system, item)
        return ValueSet(url, concepts, (system,))
    version = include.get("version")
    named_system = f"{system}|{version}" if isinstance(version, str) else system
    found = find_system(named_system)
    if found is None or found.content != "complete":
        return ValueSet(url, {}, (system,), complete=False, reason=f"the codes of {named_system} are not at hand")
    try:
        codes = select(found, _objects(include.get("filter")))
    except (NotEnumerable, UnknownTerminology, TooCostly) as error:
        return ValueSet(url, {}, (system,), complete=False, reason=str(error))
    return ValueSet(url, {system: codes}, (system,))


def _add(concepts: _Concepts, system: Any, item: Mapping[str, Any]) -> None:
    code, display = item.get("code"), item.get("display")
    if isinstance(system, str) and isinstance(code, str):
        concepts.setdefault(system, {})[code] = display if isinstance(display, str) else ""


def _nested(owner: Mapping[str, Any], key: str) -> Iterator[dict[str, Any]]:
    """The concepts of a hierarchy, each before those below it."""
    waiting = _objects(owner.get(key))[::-1]
    while waiting:
        item = waiting.pop()
        yield item
        waiting.extend(_objects(item.get(key))[::-1])


def _objects(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
