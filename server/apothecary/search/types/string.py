"""String parameters: https://hl7.org/fhir/R5/search.html#string"""

from __future__ import annotations

from collections.abc import Iterator

from apothecary.search import advanced
from apothecary.search.predicates import Compare, Every, Predicate, Row
from apothecary.search.rows import IndexRow, SpellingRow, StringRow
from apothecary.search.text import KEY_LENGTH, bare, unescape, wanted
from apothecary.search.types.base import Request, Value

NAME = "string"
TABLES = ("string",)
MODIFIERS = frozenset({"missing", "exact", "contains", "text"})
PREFIXES: frozenset[str] = frozenset()
ELEMENTS = frozenset(
    {"string", "markdown", "HumanName", "Address", "CodeableConcept", "Annotation", "code", "uri", "url", "id"}
)

# https://hl7.org/fhir/R5/search.html#string: a name or an address is searched by each of its parts.
_PARTS = {
    "HumanName": ("text", "family", "given", "prefix", "suffix"),
    "Address": ("text", "line", "city", "district", "state", "postalCode", "country"),
    "CodeableConcept": ("text",),
    "Annotation": ("text",),
}


def extract(parameter: str, value: Value) -> list[IndexRow]:
    """One row for each text of the value, and the text for who looks for a part of it."""
    rows: list[IndexRow] = []
    for text in _texts(value.type, value.json):
        folded = bare(text)
        rows.append(StringRow(parameter, folded[:KEY_LENGTH], folded, text, value.element))
        rows.append(SpellingRow(folded))
    return rows


def _texts(kind: str, json: object) -> Iterator[str]:
    if isinstance(json, str):
        yield json
    elif isinstance(json, dict):
        for part in _PARTS.get(kind, ()):
            found = json.get(part)
            for text in found if isinstance(found, list) else [found]:
                if isinstance(text, str):
                    yield text
        if kind == "CodeableConcept":
            yield from (
                coding["display"] for coding in json.get("coding", ()) if isinstance(coding.get("display"), str)
            )


def predicate(parameter: str, modifier: str | None, text: str, request: Request) -> Predicate:
    """Begins with (default) or contains, without case, accents and punctuation; `:exact` compares the text as
    written; `:text` is a query in the language of `advanced`.
    """
    if modifier == "text":
        return advanced.predicate(parameter, text)
    if modifier == "exact":
        exact = unescape(text)
        narrowed = Compare("prefix", "=", bare(exact)[:KEY_LENGTH])
        return Row("string", parameter, Every((narrowed, Compare("exact", "=", exact))))
    folded = wanted(text)
    if modifier == "contains":
        return Row("string", parameter, Compare("folded", "part", folded))
    beginning = Compare("prefix", "prefix", folded[:KEY_LENGTH])
    if len(folded) <= KEY_LENGTH:
        return Row("string", parameter, beginning)
    return Row("string", parameter, Every((beginning, Compare("folded", "prefix", folded))))
