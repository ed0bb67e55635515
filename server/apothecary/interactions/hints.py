"""What an answer without a match can say more than that: https://hl7.org/fhir/R5/search.html#error

A use may be denied: then the denial is the answer. A SearchParameter says by the extension `contradicts` which
parameter of its type it denies. And a code may be too narrow: then a code above it matches (`:above`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from apothecary.errors import FhirError, Issue
from apothecary.fhir.code_forms import FORMS
from apothecary.fhir.json import parse as parse_json
from apothecary.interactions.bundle import address
from apothecary.interactions.forms import body_in
from apothecary.search.context import Context
from apothecary.search.parameter import SearchParameter
from apothecary.search.parser import parse
from apothecary.store.contract import Hit, Reader

Pairs = Sequence[tuple[str, str]]

# More matches than these are counted and not named.
_NAMED = 5
# More parameters than these are not asked again in other words.
_TRIED = 4


class Place(NamedTuple):
    """Where a search was asked: the base, the path below it, and the parameters that only say of what type it is."""

    base: str
    path: str
    leading: Pairs = ()

    def url(self, pairs: Pairs) -> str:
        """The address of the same search with other parameters."""
        return address(self.base, self.path, [*self.leading, *pairs])


def denials(reader: Reader, context: Context, place: Place, pairs: Pairs) -> Iterator[Issue]:
    """The stored statements that deny what a search of one type asks for."""
    (kind,) = context.types
    for one in context.registry.parameters(kind).values():
        if one.contradicts:
            denied, *without = one.contradicts
            yield from _denied(reader, context, place, one, _renamed(pairs, denied, one.code, without))


def _denied(reader: Reader, context: Context, place: Place, one: SearchParameter, pairs: Pairs) -> Iterator[Issue]:
    """What the statements say that `pairs` find, and failing that those about a wider code."""
    if not any(name.partition(":")[0] == one.code for name, _ in pairs):
        return
    for asked in (pairs, *_raised(pairs, context, one.code)):
        hits = _found(reader, context, asked)
        if hits:
            codes = _asked_codes(context, one, asked)
            said = "; ".join(_said(hit, one, codes) for hit in hits[:_NAMED])
            more = " and others" if len(hits) > _NAMED else ""
            yield Issue(
                "warning",
                "business-rule",
                f"The content says the contrary of what was asked for: {said}{more}.",
                (one.contradicts[0],),
                remedy=f"See {place.url(asked)}",
            )
            return


def wider(reader: Reader, context: Context, place: Place, pairs: Pairs) -> Iterator[Issue]:
    """The parameters that would find something with a code above the one that was asked for."""
    for asked in _raised(pairs, context):
        hits = _found(reader, context, asked)
        if hits:
            name = next(name for name, value in asked if (name, value) not in pairs)
            number = f"more than {_NAMED}" if len(hits) > _NAMED else str(len(hits))
            yield Issue(
                "information",
                "informational",
                f"A code above the one that was asked for matches: {name} finds {number}.",
                (name.partition(":")[0],),
                remedy=f"See {place.url(asked)}",
            )


def _renamed(pairs: Pairs, denied: str, code: str, without: Sequence[str]) -> Pairs:
    """`pairs` with the parameter `code` in place of `denied`, its modifiers kept."""
    found = []
    for name, value in pairs:
        plain, colon, modifier = name.partition(":")
        if plain not in without:
            found.append((code + colon + modifier, value) if plain == denied and modifier != "not" else (name, value))
    return found


def _raised(pairs: Pairs, context: Context, only: str | None = None) -> Iterator[Pairs]:
    """`pairs` with `:above` at one parameter at a time, where that is a token with one code of one system."""
    (kind,) = context.types
    known = context.registry.parameters(kind)
    plain = [
        number
        for number, (name, value) in enumerate(pairs)
        if name in known and known[name].type == "token" and value.count("|") == 1 and "," not in value
    ]
    for number in [one for one in plain if only in (None, pairs[one][0])][:_TRIED]:
        name, value = pairs[number]
        yield [*pairs[:number], (f"{name}:above", value), *pairs[number + 1 :]]


def _found(reader: Reader, context: Context, pairs: Pairs) -> Sequence[Hit]:
    """What a search finds, up to one more than is named; nothing where it cannot be asked so."""
    try:
        query = parse(context._replace(strict=True), pairs).query
    except FhirError:
        return ()
    return reader.search(replace(query, count=_NAMED, memo={})).hits


def _asked_codes(context: Context, one: SearchParameter, pairs: Pairs) -> set[str]:
    """The codes that the parameter is asked for, with those above them where it is asked so."""
    found: set[str] = set()
    for name, value in pairs:
        plain, _, modifier = name.partition(":")
        for part in value.split(",") if plain == one.code else ():
            system, _, code = part.rpartition("|")
            found.add(code)
            if modifier == "above":
                form = FORMS.get(system)
                found.update(form.above(code) if form is not None else ())
                found.update(_held_above(context, system, code))
    return found


def _held_above(context: Context, system: str, code: str) -> Iterator[str]:
    try:
        held = context.terminology.above(system, code) if context.terminology is not None else {}
    except FhirError:
        return
    for codes in held.values():
        yield from codes


def _said(hit: Hit, one: SearchParameter, codes: set[str]) -> str:
    """The resource, and in its words what the parameter reads of it: where it has one of `codes`, of those alone."""
    values = [value for _, value in one.path.values(parse_json(body_in(hit, one.version)))]
    those = [value for value in values if codes & set(_codes(value))]
    words = list(dict.fromkeys(filter(None, map(_words, those or values))))
    return f"{hit.type}/{hit.id}" + (f" ({', '.join(words)})" if words else "")


def _codes(value: Any) -> Iterator[str]:
    for coding in value.get("coding", ()) if isinstance(value, dict) else ():
        yield coding.get("code", "")


def _words(value: Any) -> str:
    if not isinstance(value, dict):
        return ""
    return str(value.get("text") or next((one["display"] for one in value.get("coding", ()) if "display" in one), ""))
