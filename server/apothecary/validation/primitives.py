"""Primitive values: a quick test for the many good ones, an explanation for the rest
(https://hl7.org/fhir/R5/datatypes.html#primitive).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from functools import cache
from typing import Any, NamedTuple

from apothecary.fhir.definitions import definitions
from apothecary.fhir.json import FhirDecimal
from apothecary.fhir.releases import FhirVersion
from apothecary.fhir.structures import Structure
from apothecary.fhir.temporal import parse_span
from apothecary.validation.diagnostics import shown
from apothecary.validation.rules import BASE, Rule

Accept = Callable[[Any], bool]

MAX_STRING = 1_048_576
# What FHIR's own regexes mean by white space; a no-break space is content (https://hl7.org/fhir/R5/datatypes.html#string).
BLANK = " \t\n\r\f\v"
_NUMBERS = frozenset({"decimal", "integer", "positiveInt", "unsignedInt"})
_TEMPORAL = frozenset({"date", "dateTime", "instant"})
_TEXT = frozenset({"string", "markdown", "xhtml"})
_URIS = frozenset({"uri", "url", "canonical", "oid", "uuid"})
_FORM_RULES = {"id": "bad-id", "code": "bad-code", "base64Binary": "bad-base64", "integer64": "bad-number"}
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")


class Defect(NamedTuple):
    """What is wrong with a value: the rule and what to say after the element's name."""

    rule: Rule
    text: str
    remedy: str | None = None


def value_pattern(structure: Structure) -> str | None:
    """The regex of a primitive type for any engine: white space spelt out, not anchored; None for numbers and text."""
    if structure.regex is None or structure.name in _TEXT or structure.name in _NUMBERS or structure.name == "boolean":
        return None
    if structure.name == "canonical":
        # A version follows a bar (https://hl7.org/fhir/R5/references.html#canonical), which the published form forgets.
        return r"[^ \t\n\r\f\v]*[^ \t\n\r\f\v|]"
    pattern = structure.regex.removeprefix("^").removesuffix("$")
    # Inside a class `\s` must not bring its own brackets.
    pattern = re.sub(r"\[\^\\s\]", r"[^ \\t\\n\\r\\f\\v]", pattern)
    return pattern.replace(r"\S", r"[^ \t\n\r\f\v]").replace(r"\s", r"[ \t\n\r\f\v]")


@cache
def acceptor(version: FhirVersion, name: str) -> Accept:
    """A test that is true only for good values of the primitive type `name`; what it refuses, `defect` judges."""
    if name in _TEXT:
        return _accept_text
    if name == "boolean":
        return lambda value: value is True or value is False
    structure = definitions(version).structure(name)
    if name == "decimal":
        return _accept_decimal
    if name in _NUMBERS:
        low, high = integer_range(structure)
        return lambda value: type(value) is int and low <= value <= high
    match = re.compile(value_pattern(structure) or r"[\s\S]+").fullmatch
    if name in _TEMPORAL:
        # Up to day 28 every month has the day; the calendar is asked for the others.
        return lambda value: isinstance(value, str) and value[8:10] < "29" and match(value) is not None
    if name == "integer64":
        # 18 digits always fit; whether 19 do, `defect` finds out.
        return lambda value: isinstance(value, str) and len(value) <= 18 and match(value) is not None
    return lambda value: isinstance(value, str) and value.isascii() and value != "" and match(value) is not None


def defect(version: FhirVersion, name: str, value: Any) -> Defect | None:
    """What is wrong with `value` as a `name`, or None; slower than `acceptor`, and always right."""
    structure = definitions(version).structure(name)
    if name == "boolean":
        return None if isinstance(value, bool) else _wrong_type(value, "a boolean: true or false")
    if name in _NUMBERS:
        return _number_defect(structure, value)
    if not isinstance(value, str):
        return _wrong_type(value, f"a string, because it is of type {name}")
    return _text_defect(name, value) or _form_defect(structure, value)


def _accept_text(value: Any) -> bool:
    # Printable text has no control character and no half of a surrogate pair.
    return (
        isinstance(value, str)
        and value.isprintable()
        and value != ""
        and not value.isspace()
        and len(value) <= MAX_STRING
    )


def _accept_decimal(value: Any) -> bool:
    # JSON's own grammar is FHIR's, but for the number of digits: a short literal is always right.
    if type(value) is FhirDecimal:
        return len(value.literal) <= 17
    return type(value) is int and -(10**15) < value < 10**15


def _wrong_type(value: Any, expected: str) -> Defect:
    return Defect(BASE["wrong-type"], f"is {shown(value)}, but must be {expected}")


def integer_range(structure: Structure) -> tuple[int, int]:
    """The least and the greatest value of an integer type; those of unsignedInt and positiveInt are published in
    words only.
    """
    least = {"unsignedInt": 0, "positiveInt": 1}.get(structure.name, -(2**31))
    low = structure.min_value if structure.min_value is not None else least
    high = structure.max_value if structure.max_value is not None else 2**31 - 1
    return low, high


def _number_defect(structure: Structure, value: Any) -> Defect | None:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        remedy = "Write the number without quotes." if isinstance(value, str) else None
        return _wrong_type(value, f"a number, because it is of type {structure.name}")._replace(remedy=remedy)
    if structure.name == "decimal":
        # int() and str() refuse thousands of digits on purpose; no such number is in the form.
        literal = "" if isinstance(value, int) and abs(value) >= 10**1000 else str(value)
        if re.fullmatch(structure.regex or "", literal) is None:
            return Defect(BASE["bad-number"], f"is {shown(value)}, which is outside the form of a decimal")
        return None
    low, high = integer_range(structure)
    if not isinstance(value, int):
        return Defect(BASE["bad-number"], f"is {shown(value)}, but {structure.name} has no decimal point or exponent")
    if not low <= value <= high:
        return Defect(BASE["bad-number"], f"is {shown(value)}, but {structure.name} is from {low} to {high}")
    return None


def _text_defect(name: str, value: str) -> Defect | None:
    if not value.strip(BLANK):
        # Text SHOULD have more than white space, says https://hl7.org/fhir/R5/datatypes.html#string; the forms of all
        # other types leave no room for it.
        rule = "blank-string" if value and name in _TEXT else "empty-string"
        return Defect(BASE[rule], "is only white space" if value else "is an empty string")
    if len(value) > MAX_STRING and name != "base64Binary":
        return Defect(BASE["too-long"], f"has {len(value)} characters, more than {MAX_STRING}")
    try:
        value.encode()
    except UnicodeEncodeError:
        return Defect(BASE["not-unicode"], "has half of a surrogate pair")
    control = _CONTROL.search(value)
    if control is not None and name in _TEXT:
        return Defect(BASE["control-character"], f"has the control character U+{ord(control[0]):04X}")
    return None


def _form_defect(structure: Structure, value: str) -> Defect | None:
    name = structure.name
    pattern = value_pattern(structure)
    if pattern is not None and re.fullmatch(pattern, value) is None:
        return Defect(_form_rule(name), f"is {shown(value)}, which is not {_article(name)} {name}")
    if name in _TEMPORAL:
        try:
            parse_span(value[:10])
        except ValueError as error:
            return Defect(BASE["bad-date"], f"is not a date: {error}")
    if name == "integer64" and not _fits(structure, value):
        return Defect(BASE["bad-number"], f"is {shown(value)}, which does not fit 64 bits")
    return None


def _fits(structure: Structure, value: str) -> bool:
    if len(value) > 20:
        return False
    return (structure.min_value or -(2**63)) <= int(value) <= (structure.max_value or 2**63 - 1)


def _form_rule(name: str) -> Rule:
    if name in _TEMPORAL or name == "time":
        return BASE["bad-date"]
    if name in _URIS:
        return BASE["bad-uri"]
    return BASE[_FORM_RULES[name]]


def _article(name: str) -> str:
    return "an" if name[0] in "aeio" else "a"
