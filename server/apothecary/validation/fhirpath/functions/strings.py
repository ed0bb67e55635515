"""Functions of text (https://hl7.org/fhirpath/N1/#string-manipulation, https://hl7.org/fhirpath/#additional-string-functions)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from apothecary.fhir.regular_expressions import regular_expression
from apothecary.validation.fhirpath.functions.base import Call, Compiled, Offered, of_text
from apothecary.validation.fhirpath.nodes import Environment, FhirPathError, Items
from apothecary.validation.fhirpath.values import TEXT_IN_A_STEP, single

_QUOTES = re.compile(r'\\.|"', re.DOTALL)


def _substring(text: str, start: int, length: int | None = None) -> str | None:
    if not 0 <= start < len(text):
        return None
    return text[start:] if length is None else text[start : start + max(0, length)]


def _part(start: Compiled, length: Compiled | None = None) -> Call:
    """substring(), of which an empty length is none: https://hl7.org/fhirpath/N1/#substringstart-integer-length-integer-string"""

    def call(items: Items, this: Items, env: Environment) -> Items:
        text, first = single(items), single(start(this, env))
        count = single(length(this, env)) if length is not None else None
        if text is None or first is None:
            return []
        if not isinstance(text, str) or type(first) is not int or not (count is None or type(count) is int):
            raise FhirPathError("substring() takes a text and whole numbers")
        found = _substring(text, first, count)
        return [] if found is None else [found]

    return call


def _paying(function: Callable[..., Any], arguments: int) -> Offered:
    """A function of texts that pays by itself: it gets the budget first."""

    def make(*compiled: Compiled) -> Call:
        def call(items: Items, this: Items, env: Environment) -> Items:
            values = [single(items), *(single(argument(this, env)) for argument in compiled)]
            if any(value is None for value in values):
                if len(items) == 1 and values[0] is None:
                    raise FhirPathError("an element without a value is no input")
                return []
            if not all(isinstance(value, str) for value in values):
                raise FhirPathError("texts are needed")
            return function(env, *values)  # type: ignore[no-any-return]  # of any arguments

        return call

    return Offered(make, arguments, arguments)


def _matches(env: Environment, text: str, pattern: str) -> Items:
    return [regular_expression(pattern).found_in(text, env.budget)]


def _matches_full(env: Environment, text: str, pattern: str) -> Items:
    return [regular_expression(pattern).matches(text, env.budget)]


def _replace_matches(env: Environment, text: str, pattern: str, substitution: str) -> Items:
    if pattern == "":
        return [text]
    return [regular_expression(pattern).replaced_in(text, substitution, env.budget)]


def _replace(env: Environment, text: str, pattern: str, substitution: str) -> Items:
    env.budget.spend(len(text) // TEXT_IN_A_STEP)
    length = len(text) + text.count(pattern) * (len(substitution) - len(pattern))
    env.budget.spend(1 + length // TEXT_IN_A_STEP)
    return [text.replace(pattern, substitution)]


def _split(env: Environment, text: str, separator: str) -> Items:
    if separator == "":
        return _characters(env, text)
    env.budget.spend(1 + text.count(separator) + len(text) // TEXT_IN_A_STEP)
    return text.split(separator)


def _characters(env: Environment, text: str) -> Items:
    env.budget.spend(len(text))
    return list(text)


def _join(separator: Compiled | None = None) -> Call:
    def call(items: Items, this: Items, env: Environment) -> Items:
        between = single(separator(this, env)) if separator is not None else ""
        values = [single([item]) for item in items]
        parts = [value for value in values if isinstance(value, str)]
        if not isinstance(between, str) or len(parts) < sum(value is not None for value in values):
            raise FhirPathError("join() takes texts")
        if not items:
            return []
        env.budget.spend(1 + (sum(map(len, parts)) + len(between) * len(parts)) // TEXT_IN_A_STEP)
        return [between.join(parts)]

    return call


# The modules of Python are loaded by who asks for them.
def _encoded(text: str, name: str) -> str:
    import base64

    content = text.encode()
    match name:
        case "base64":
            return base64.b64encode(content).decode()
        case "urlbase64":
            return base64.urlsafe_b64encode(content).decode()
        case "hex":
            return content.hex()
    raise FhirPathError(f"{name!r} is none of base64, urlbase64, hex")


def _decoded(text: str, name: str) -> str:
    import base64

    match name:
        case "base64":
            return base64.b64decode(text, validate=True).decode()
        case "urlbase64":
            return base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True).decode()
        case "hex":
            return bytes.fromhex(text).decode()
    raise FhirPathError(f"{name!r} is none of base64, urlbase64, hex")


def _escaped(text: str, name: str) -> str:
    import html
    import json

    match name:
        case "html":
            return html.escape(text)
        case "json":
            return json.dumps(text, ensure_ascii=False)[1:-1]
    raise FhirPathError(f"{name!r} is none of html, json")


def _unescaped(text: str, name: str) -> str:
    import html
    import json

    match name:
        case "html":
            return html.unescape(text)
        case "json":
            # A quote that is not escaped stands for itself.
            quoted = _QUOTES.sub(lambda found: '\\"' if found[0] == '"' else found[0], text)
            return str(json.loads(f'"{quoted}"'))
    raise FhirPathError(f"{name!r} is none of html, json")


def _coded(function: Callable[[str, str], str]) -> Callable[[str, str], str | None]:
    """Empty for a text that is not in the form that it is to be read from."""

    def convert(text: str, name: str) -> str | None:
        try:
            return function(text, name)
        except ValueError:
            return None

    return convert


FUNCTIONS = {
    "contains": of_text(lambda text, part: part in text, 1),
    "decode": of_text(_coded(_decoded), 1),
    "encode": of_text(_coded(_encoded), 1),
    "endsWith": of_text(str.endswith, 1),
    "escape": of_text(_coded(_escaped), 1),
    "indexOf": of_text(str.find, 1),
    "join": Offered(_join, 0, 1),
    "lastIndexOf": of_text(str.rfind, 1),
    "length": of_text(len),
    "lower": of_text(str.lower),
    "matches": _paying(_matches, 1),
    "matchesFull": _paying(_matches_full, 1),
    "replace": _paying(_replace, 2),
    "replaceMatches": _paying(_replace_matches, 2),
    "split": _paying(_split, 1),
    "startsWith": of_text(str.startswith, 1),
    "substring": Offered(_part, 1, 2),
    "toChars": _paying(_characters, 0),
    "trim": of_text(str.strip),
    "unescape": of_text(_coded(_unescaped), 1),
    "upper": of_text(str.upper),
}
