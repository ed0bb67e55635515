"""Token parameters: https://hl7.org/fhir/R5/search.html#token

How a code stands in the index, and which ways to write it find each other, `apothecary.search.normalisation` decides.
"""

from __future__ import annotations

from apothecary.fhir.caches import short_cache
from apothecary.fhir.definitions import definitions
from apothecary.fhir.releases import FhirVersion
from apothecary.search import advanced
from apothecary.search.normalisation import FOLDED, STANDARD, any_forms
from apothecary.search.predicates import Compare, Every, Predicate, Row, Some, any_of
from apothecary.search.rows import IndexRow, StringRow, TokenRow
from apothecary.search.text import KEY_LENGTH, bare, key, split, unescape, wanted
from apothecary.search.types import hierarchy
from apothecary.search.types.base import Request, Value
from apothecary.search.types.hierarchy import of_system

NAME = "token"
TABLES = ("token", "string")
MODIFIERS = frozenset(
    {"missing", "not", "text", "text-advanced", "code-text", "of-type", "in", "not-in", "above", "below"}
)
PREFIXES: frozenset[str] = frozenset()
ELEMENTS = frozenset(
    {
        "CodeableConcept",
        "Coding",
        "CodeableReference",
        "Identifier",
        "ContactPoint",
        "code",
        "boolean",
        "string",
        "markdown",
        "uri",
        "url",
        "canonical",
        "oid",
        "uuid",
        "id",
    }
)

# A NamedTuple is made in Python, a tuple is not.
_row = tuple.__new__

BOOLEAN_SYSTEM = "http://terminology.hl7.org/CodeSystem/special-values"


@short_cache(4096)
def implied_system(value_set: str, code: str, version: FhirVersion = FhirVersion.R5) -> str:
    """The system of a `code` element, implied by its required binding in its release; empty where that leaves it
    open.
    """
    bound = definitions(version).value_set(value_set)
    if bound is None:
        return ""
    return bound.system_of(code) or ""


def extract(parameter: str, value: Value) -> list[IndexRow]:
    """Token rows for every code, string rows for every text of the value; one empty token row where there is no code.

    The empty row keeps `:missing` true to the element: a concept that is only text is not missing.
    """
    rows: list[IndexRow] = []
    _add(rows, parameter, value.type, value.json, value)
    for row in rows:
        if row.__class__ is TokenRow:
            return rows
    rows.append(TokenRow(parameter, "", "", value.element))
    return rows


def _add(rows: list[IndexRow], parameter: str, kind: str, json: object, value: Value) -> None:
    if isinstance(json, dict):
        if kind == "CodeableReference":
            kind, json = "CodeableConcept", json.get("concept") or {}
        if kind == "CodeableConcept":
            for coding in json.get("coding", ()):
                _add_coding(rows, parameter, coding, value)
            _add_text(rows, parameter, json.get("text"), value.element)
        elif kind == "Coding":
            _add_coding(rows, parameter, json, value)
        elif kind == "Identifier":
            _add_identifier(rows, parameter, json, value)
        elif kind == "ContactPoint" and isinstance(json.get("value"), str):
            _add_code(rows, parameter, "", json["value"], value)
    elif kind == "boolean":
        rows.append(TokenRow(parameter, BOOLEAN_SYSTEM, "true" if json else "false", value.element))
    elif isinstance(json, str):
        bound = value.value_set if kind == "code" else None
        system = implied_system(bound, json, value.version) if bound else ""
        _add_code(rows, parameter, system, json, value)


def _add_code(rows: list[IndexRow], parameter: str, system: str, code: str, value: Value) -> None:
    short, element = key(system), value.element
    rows += [_row(TokenRow, (parameter, short, form, element)) for form in value.systems.indexed(system, code)]


def _add_coding(rows: list[IndexRow], parameter: str, coding: dict[str, str], value: Value) -> None:
    system, code = coding.get("system") or "", coding.get("code")
    if code:
        _add_code(rows, parameter, system, code, value)
    elif system:
        rows.append(TokenRow(parameter, key(system), "", value.element))
    _add_text(rows, parameter, coding.get("display"), value.element)


def _add_identifier(rows: list[IndexRow], parameter: str, identifier: dict[str, object], value: Value) -> None:
    system, text, kind = identifier.get("system") or "", identifier.get("value"), identifier.get("type")
    if isinstance(system, str) and isinstance(text, str):
        _add_code(rows, parameter, system, text, value)
        if isinstance(kind, dict):
            for coding in kind.get("coding", ()):
                if "code" in coding:
                    of_type = key(f"{coding.get('system', '')}|{coding['code']}")
                    forms = STANDARD.forms("", text)
                    rows += [TokenRow(f"{parameter}:of-type", of_type, form, value.element) for form in forms]
    if isinstance(kind, dict):
        _add_text(rows, parameter, kind.get("text"), value.element)


def _add_text(rows: list[IndexRow], parameter: str, text: object, element: int) -> None:
    if isinstance(text, str) and text.strip():
        folded = bare(text)
        rows.append(_row(StringRow, (parameter, folded[:KEY_LENGTH], folded, text, element)))


def predicate(parameter: str, modifier: str | None, text: str, request: Request) -> Predicate:
    """`code`, `system|code`, `|code`, `system|`. Raises ValueError for more than one bar. The parser negates
    `:not` and `:not-in`: here they mean what they exclude.
    """
    match modifier:
        case "text":
            folded = wanted(text)
            return Row(
                "string",
                parameter,
                Every((Compare("prefix", "prefix", folded[:KEY_LENGTH]), Compare("folded", "prefix", folded))),
            )
        case "text-advanced":
            return advanced.predicate(parameter, text)
        case "code-text":
            return code_text(parameter, unescape(text))
        case "of-type":
            return _of_type(parameter, text)
        case "in" | "not-in" | "above" | "below":
            return hierarchy.predicate(parameter, modifier, text, request)
    parts = split(text, "|")
    if len(parts) > 2:
        raise ValueError(f"{text!r} has {len(parts) - 1} bars; a token is code, system|code, |code or system|")
    if len(parts) == 1:
        return any_of([Row("token", parameter, Compare("code", "=", one)) for one in any_forms(unescape(text))])
    system, code = unescape(parts[0]), unescape(parts[1])
    if not code:
        if not system:
            raise ValueError("a bar alone names neither a system nor a code")
        return Row("token", parameter, Compare("system", "=", key(system)))
    forms = request.systems.forms(system, code)
    return any_of([Row("token", parameter, of_system(system, Compare("code", "=", form))) for form in forms])


def code_text(parameter: str, text: str) -> Predicate:
    """Codes that begin with `text`, whatever their case: https://hl7.org/fhir/R5/search.html#modifiercodetext"""
    # A folded code carries its mark first.
    starts = (text.lower(), FOLDED + text.casefold())
    return Row("token", parameter, Some(tuple(Compare("code", "begins", one) for one in starts)))


def _of_type(parameter: str, text: str) -> Predicate:
    parts = split(text, "|")
    if len(parts) != 3 or not all(parts):
        raise ValueError(f"{text!r}: :of-type needs type-system|type-code|value, all three")
    system, code, value = (unescape(part) for part in parts)
    kind = Compare("system", "=", key(f"{system}|{code}"))
    found = [Every((Compare("code", "=", form), kind)) for form in STANDARD.forms("", value)]
    return any_of([Row("token", f"{parameter}:of-type", where) for where in found])
