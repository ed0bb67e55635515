"""Token parameters: https://hl7.org/fhir/R5/search.html#token

Codes of HL7's own code systems and UCUM are case-sensitive. For every other system, where the server cannot know, codes
and
identifiers match without regard to case, as the specification asks: what is found too much is less dangerous than what
is missed.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from server.fhir.definitions import definitions
from server.fhir.releases import FhirVersion
from server.search import advanced
from server.search.predicates import Compare, Every, Predicate, Row, Some, any_of
from server.search.rows import IndexRow, StringRow, TokenRow
from server.search.text import KEY_LENGTH, fold, key, split, unescape, wanted
from server.search.types.base import Request, Value

NAME = "token"
TABLES = ("token", "string")
MODIFIERS = frozenset({"missing", "not", "text", "text-advanced", "code-text", "of-type"})
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

BOOLEAN_SYSTEM = "http://terminology.hl7.org/CodeSystem/special-values"
_CASE_SENSITIVE = ("http://hl7.org/fhir/", "http://terminology.hl7.org/CodeSystem/", "http://unitsofmeasure.org")
# Stands before a code that was folded, so that a folded code is never taken for one written that way.
_FOLDED = "~"


def case_sensitive(system: str) -> bool:
    """Whether codes of `system` differ by case. `http://hl7.org/fhir/sid/` names systems that HL7 does not own."""
    return system.startswith(_CASE_SENSITIVE) and not system.startswith("http://hl7.org/fhir/sid/")


def normal(system: str, code: str) -> str:
    """`code` as the index holds it: as written where case counts, folded and marked where it does not."""
    return key(code if case_sensitive(system) else _FOLDED + code.casefold())


@lru_cache(maxsize=4096)
def implied_system(value_set: str, code: str) -> str:
    """The system of a `code` element, implied by its required binding; empty where the binding leaves it open."""
    bound = definitions(FhirVersion.R5).value_set(value_set)
    if bound is None:
        return ""
    systems = [system for system, codes in bound.codes.items() if code in codes]
    return systems[0] if len(systems) == 1 else ""


def extract(parameter: str, value: Value) -> Iterator[IndexRow]:
    """Token rows for every code, string rows for every text of the value; one empty token row where there is no code.

    The empty row keeps `:missing` true to the element: a concept that is only text is not missing.
    """
    json, element = value.json, value.element
    empty = True
    for row in _rows(parameter, value.type, json, value.value_set, element):
        empty = empty and row.table != "token"
        yield row
    if empty:
        yield TokenRow(parameter, "", "", element)


def _rows(parameter: str, kind: str, json: object, value_set: str | None, element: int) -> Iterator[IndexRow]:
    if isinstance(json, dict):
        if kind == "CodeableReference":
            kind, json = "CodeableConcept", json.get("concept") or {}
        if kind == "CodeableConcept":
            for coding in json.get("coding", ()):
                yield from _coding(parameter, coding, element)
            yield from _text(parameter, json.get("text"), element)
        elif kind == "Coding":
            yield from _coding(parameter, json, element)
        elif kind == "Identifier":
            yield from _identifier(parameter, json, element)
        elif kind == "ContactPoint" and isinstance(json.get("value"), str):
            yield TokenRow(parameter, "", normal("", json["value"]), element)
    elif kind == "boolean":
        yield TokenRow(parameter, BOOLEAN_SYSTEM, "true" if json else "false", element)
    elif isinstance(json, str):
        system = implied_system(value_set, json) if value_set and kind == "code" else ""
        yield TokenRow(parameter, system, normal(system, json), element)


def _coding(parameter: str, coding: dict[str, str], element: int) -> Iterator[IndexRow]:
    system, code = coding.get("system") or "", coding.get("code")
    if system or code:
        yield TokenRow(parameter, key(system), normal(system, code) if code else "", element)
    yield from _text(parameter, coding.get("display"), element)


def _identifier(parameter: str, identifier: dict[str, object], element: int) -> Iterator[IndexRow]:
    system, value, kind = identifier.get("system") or "", identifier.get("value"), identifier.get("type")
    if isinstance(system, str) and isinstance(value, str):
        yield TokenRow(parameter, key(system), normal(system, value), element)
        if isinstance(kind, dict):
            for coding in kind.get("coding", ()):
                if "code" in coding:
                    yield TokenRow(
                        f"{parameter}:of-type",
                        key(f"{coding.get('system', '')}|{coding['code']}"),
                        normal("", value),
                        element,
                    )
    if isinstance(kind, dict):
        yield from _text(parameter, kind.get("text"), element)


def _text(parameter: str, text: object, element: int) -> Iterator[IndexRow]:
    if isinstance(text, str) and text.strip():
        folded = fold(text)
        yield StringRow(parameter, folded[:KEY_LENGTH], folded, text, element)


def predicate(parameter: str, modifier: str | None, text: str, request: Request) -> Predicate:
    """`code`, `system|code`, `|code`, `system|`. Raises ValueError for more than one bar. `:not` is applied by the
    parser.
    """
    if modifier == "text":
        folded = wanted(text)
        return Row(
            "string",
            parameter,
            Every((Compare("prefix", "prefix", folded[:KEY_LENGTH]), Compare("folded", "prefix", folded))),
        )
    if modifier == "text-advanced":
        return advanced.predicate(parameter, text)
    if modifier == "code-text":
        return code_text(parameter, unescape(text))
    parts = split(text, "|")
    if modifier == "of-type":
        return _of_type(parameter, text, parts)
    if len(parts) > 2:
        raise ValueError(f"{text!r} has {len(parts) - 1} bars; a token is code, system|code, |code or system|")
    if len(parts) == 1:
        code = unescape(text)
        candidates = dict.fromkeys((key(code), key(_FOLDED + code.casefold())))
        return any_of([Row("token", parameter, Compare("code", "=", one)) for one in candidates])
    system, code = unescape(parts[0]), unescape(parts[1])
    if not code:
        if not system:
            raise ValueError("a bar alone names neither a system nor a code")
        return Row("token", parameter, Compare("system", "=", key(system)))
    return Row(
        "token", parameter, Every((Compare("code", "=", normal(system, code)), Compare("system", "=", key(system))))
    )


def code_text(parameter: str, text: str) -> Predicate:
    """Codes that begin with `text`, whatever their case: https://hl7.org/fhir/R5/search.html#modifiercodetext"""
    # A folded code carries its mark first.
    starts = (text.lower(), _FOLDED + text.casefold())
    return Row("token", parameter, Some(tuple(Compare("code", "begins", one) for one in starts)))


def _of_type(parameter: str, text: str, parts: list[str]) -> Predicate:
    if len(parts) != 3 or not all(parts):
        raise ValueError(f"{text!r}: :of-type needs type-system|type-code|value, all three")
    system, code, value = (unescape(part) for part in parts)
    where = Every((Compare("code", "=", normal("", value)), Compare("system", "=", key(f"{system}|{code}"))))
    return Row("token", f"{parameter}:of-type", where)
