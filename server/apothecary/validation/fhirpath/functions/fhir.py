"""What FHIR adds to FHIRPath (https://hl7.org/fhir/R5/fhirpath.html#functions)."""

from __future__ import annotations

from collections.abc import Callable

from apothecary.validation.fhirpath.functions.base import Call, Compiled, Offered, of_items
from apothecary.validation.fhirpath.nodes import Environment, FhirPathError, Items, Node, child, is_type
from apothecary.validation.fhirpath.operators import single

# What it costs to look for a value set or a profile.
_LOOKUP = 50
_CORE = "http://hl7.org/fhir/StructureDefinition/"


def _extension(url: Compiled) -> Call:
    def call(items: Items, this: Items, env: Environment) -> Items:
        wanted = single(url(this, env))
        found = [inner for item in items for inner in child(env.tables, item, "extension")]
        env.budget.spend(len(found))
        return [item for item in found if isinstance(item.value, dict) and item.value.get("url") == wanted]

    return call


def _resolve() -> Call:
    def call(items: Items, this: Items, env: Environment) -> Items:
        found = []
        for item in items:
            value = item.value if isinstance(item, Node) else item
            reference = value.get("reference") if isinstance(value, dict) else value
            if isinstance(reference, str):
                target = env.resolve(reference)
                if target is None:
                    env.unresolved = True
                else:
                    found.append(target)
        return found

    return call


def _member_of(url: Compiled) -> Call:
    def call(items: Items, this: Items, env: Environment) -> Items:
        env.budget.spend(_LOOKUP)
        canonical = single(url(this, env))
        find = env.value_set or env.tables.value_set
        value_set = find(canonical) if isinstance(canonical, str) else None
        codings = _codings(items)
        if not codings:
            return []
        answers = [None if value_set is None else value_set.contains(system, code) for system, code in codings]
        if True in answers:
            return [True]
        if None in answers:
            env.unresolved = True  # A value set that is not at hand decides nothing.
            return []
        return [False]

    return call


def _codings(items: Items) -> list[tuple[str | None, str]]:
    """System and code of each code, Coding or CodeableConcept among `items`."""
    found: list[tuple[str | None, str]] = []
    for item in items:
        value = item.value if isinstance(item, Node) else item
        if isinstance(value, str):
            found.append((None, value))
        elif isinstance(value, dict):
            inner = value.get("coding")
            for coding in inner if isinstance(inner, list) else [value]:
                if isinstance(coding, dict) and isinstance(coding.get("code"), str):
                    system = coding.get("system")
                    found.append((system if isinstance(system, str) else None, coding["code"]))
    return found


def _subsumes(mine_first: bool) -> Callable[[Compiled], Call]:
    """subsumes() and subsumedBy(): https://hl7.org/fhir/R5/fhirpath.html#functions"""

    def make(other: Compiled) -> Call:
        def call(items: Items, this: Items, env: Environment) -> Items:
            mine, yours = _codings(items), _codings(other(this, env))
            if not mine or not yours:
                return []
            env.budget.spend(len(mine) * len(yours))
            answers = [_subsumed(env, *((one, two) if mine_first else (two, one))) for one in mine for two in yours]
            if True in answers:
                return [True]
            if None in answers:
                env.unresolved = True
                return []
            return [False]

        return call

    return make


def _subsumed(env: Environment, upper: tuple[str | None, str], lower: tuple[str | None, str]) -> bool | None:
    if upper == lower:
        return True
    if upper[0] != lower[0]:
        return False
    return env.subsumes(upper[0], upper[1], lower[1]) if env.subsumes is not None else None


def _has_value(items: Items) -> bool:
    if len(items) != 1:
        return False
    value = items[0].value if isinstance(items[0], Node) else items[0]
    return value is not None and not isinstance(value, dict | list)


def _get_value(items: Items) -> Items:
    if not _has_value(items):
        return []
    return [items[0].value] if isinstance(items[0], Node) else items


def _conforms_to(url: Compiled) -> Call:
    def call(items: Items, this: Items, env: Environment) -> Items:
        env.budget.spend(_LOOKUP)
        canonical = single(url(this, env))
        if not items or canonical is None:
            return []
        if len(items) > 1 or not isinstance(items[0], Node) or not isinstance(canonical, str):
            raise FhirPathError("conformsTo() is asked of one element, with the url of a profile")
        answer = env.conforms(items[0], canonical) if env.conforms is not None else None
        if answer is None:
            name = canonical.partition("|")[0].removeprefix(_CORE)
            if not canonical.startswith(_CORE) or not env.tables.has_structure(name):
                raise FhirPathError(f"the profile {canonical} is not at hand")
            answer = is_type(env.tables, items[0], name)
        return [answer]

    return call


def _html_checks(items: Items) -> bool | None:
    """Of a narrative's div, or of a text that would stand in one."""
    from apothecary.validation.narrative import defects

    value = items[0].value if len(items) == 1 and isinstance(items[0], Node) else None
    if not isinstance(value, str):
        return None
    whole = items[0].type == "xhtml"
    return not defects(value if whole else f'<div xmlns="http://www.w3.org/1999/xhtml">{value}</div>')


def _check_modifiers(*urls: Compiled) -> Call:
    def call(items: Items, this: Items, env: Environment) -> Items:
        known = {single(url(this, env)) for url in urls}
        for item in items:
            for extension in child(env.tables, item, "modifierExtension"):
                if extension.value.get("url") not in known:
                    raise FhirPathError(f"the modifier extension {extension.value.get('url')} is not known")
        return items

    return call


FUNCTIONS = {
    "checkModifiers": Offered(_check_modifiers, 0, 20),
    "conformsTo": Offered(_conforms_to, 1, 1),
    "extension": Offered(_extension, 1, 1),
    "getValue": of_items(_get_value),
    "hasValue": of_items(_has_value, free=True),
    "htmlChecks": of_items(_html_checks),
    "htmlChecks2": of_items(_html_checks),
    "memberOf": Offered(_member_of, 1, 1),
    "resolve": Offered(_resolve),
    "subsumedBy": Offered(_subsumes(mine_first=False), 1, 1),
    "subsumes": Offered(_subsumes(mine_first=True), 1, 1),
}
