"""URI parameters: https://hl7.org/fhir/R5/search.html#uri"""

from __future__ import annotations

from collections.abc import Iterator

from apothecary.fhir.references import split_canonical
from apothecary.search.predicates import Compare, Every, Predicate, Row, any_of
from apothecary.search.rows import IndexRow, SpellingRow, UriRow
from apothecary.search.text import KEY_LENGTH, unescape
from apothecary.search.types.base import Request, Value

NAME = "uri"
TABLES = ("uri",)
MODIFIERS = frozenset({"missing", "above", "below", "contains"})
PREFIXES: frozenset[str] = frozenset()
ELEMENTS = frozenset({"uri", "url", "canonical", "oid", "uuid"})


def extract(parameter: str, value: Value) -> Iterator[IndexRow]:
    """One row with the URI as written; a canonical with a version leaves one more without it."""
    if isinstance(value.json, str):
        yield UriRow(parameter, value.json[:KEY_LENGTH], value.json, value.element)
        yield SpellingRow(value.json)
        url, version = split_canonical(value.json)
        if value.type == "canonical" and version is not None:
            yield UriRow(parameter, url[:KEY_LENGTH], url, value.element)
            yield SpellingRow(url)


def predicate(parameter: str, modifier: str | None, text: str, request: Request) -> Predicate:
    """The whole URI, case-sensitive; `:below` for URIs that begin with it, `:above` for those that it begins with,
    segment by segment.
    """
    uri = unescape(text)
    if modifier == "contains":
        return Row("uri", parameter, Compare("value", "part", uri))
    if modifier == "below":
        return Row(
            "uri", parameter, Every((Compare("prefix", "prefix", uri[:KEY_LENGTH]), Compare("value", "prefix", uri)))
        )
    wanted = ancestors(uri) if modifier == "above" else [uri]
    return any_of(
        [
            Row("uri", parameter, Every((Compare("prefix", "=", one[:KEY_LENGTH]), Compare("value", "=", one))))
            for one in wanted
        ]
    )


def ancestors(uri: str) -> list[str]:
    """`uri` and what is left of it at each slash, with and without the slash: the URIs that it is below."""
    scheme = uri.find("://")
    first = scheme + 3 if scheme >= 0 else 0
    result = [uri]
    position = len(uri)
    while (position := uri.rfind("/", first, position)) > 0:
        result += [uri[: position + 1], uri[:position]]
    return list(dict.fromkeys(result))
