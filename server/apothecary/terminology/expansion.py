"""The codes of a value set as an expansion: https://hl7.org/fhir/R5/valueset-operation-expand.html"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from apothecary.fhir.temporal import instant, now
from apothecary.terminology.compose import Entry, Members, Steps
from apothecary.terminology.languages import Languages, named, of_value_set
from apothecary.terminology.model import Designation
from apothecary.terminology.problems import too_costly
from apothecary.terminology.publication import publication
from apothecary.terminology.shown import JSON, Shower

# Of the value set's own elements an expansion shows those that say what it is of.
_HEAD = ("url", "version", "name", "title", "status", "experimental", "date", "publisher", "language")
# With its definition, these go along.
_DEFINITION = ("extension", "description", "contained", "compose")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a request wants of an expansion; the names are those of the operation's parameters. `asked` are those that
    were given, as elements of `expansion.parameter`.
    """

    filter: str = ""
    offset: int | None = None
    count: int | None = None
    active_only: bool = False
    languages: Languages | None = None
    include_designations: bool = False
    include_definition: bool = False
    designations: tuple[str, ...] = ()
    properties: tuple[str, ...] = ()
    exclude_nested: bool = False
    exclude_not_for_ui: bool = False
    asked: tuple[JSON, ...] = ()
    limit: int = 10_000


def expand(members: Members, head: Mapping[str, Any], wanted: Wanted) -> JSON:
    """The value set with its expansion, as R5 writes it. Raises what says why its codes cannot be told, TooCostly where
    they are more than `limit` and no page of them was asked for.
    """
    languages, said = _languages(members, wanted)
    entries = members.entries(Steps(members.name))
    if wanted.active_only:
        entries = [one for one in entries if not one.inactive]
    if wanted.exclude_not_for_ui:
        entries = [one for one in entries if not _abstract(one)]
    if wanted.filter:
        words = fold(wanted.filter).split()
        entries = [one for one in entries if _has(one, words, wanted)]
    start = wanted.offset or 0
    page = entries[start:] if wanted.count is None else entries[start : start + wanted.count]
    if len(page) > wanted.limit:
        raise too_costly(members.name, wanted.limit)
    shower = Shower(
        languages,
        wanted.include_designations,
        wanted.designations,
        wanted.properties,
        several=_several(entries),
    )
    paged = wanted.offset is not None or wanted.count is not None or bool(wanted.filter)
    nested = not wanted.exclude_nested and not paged and _nests(members)
    contains = [*_nested(page, shower)] if nested else [shower.element(one) for one in page]
    told: JSON = {"identifier": f"urn:uuid:{uuid4()}", "timestamp": instant(now()), "total": len(entries)}
    if wanted.offset is not None:
        told["offset"] = wanted.offset
    parameters = [*wanted.asked, *said, *_used(members)]
    if parameters:
        told["parameter"] = parameters
    if shower.told:
        told["property"] = [{"code": code} | ({"uri": uri} if uri else {}) for code, uri in shower.told.items()]
    if contains:
        told["contains"] = contains
    names = (*_HEAD, *_DEFINITION) if wanted.include_definition else _HEAD
    shown = {name: head[name] for name in names if name in head}
    shown.setdefault("status", "active")
    return {"resourceType": "ValueSet", **shown, "expansion": told}


def _languages(members: Members, wanted: Wanted) -> tuple[Languages | None, list[JSON]]:
    """The languages to show: those of the request, else those of the value set."""
    if wanted.languages is not None:
        return wanted.languages, [{"name": "displayLanguage", "valueCode": wanted.languages.text}]
    own = of_value_set(members.resource)
    if own is None:
        return None, []
    return Languages.parse(own, "ValueSet.language"), [{"name": "displayLanguage", "valueCode": own}]


def _abstract(entry: Entry) -> bool:
    return entry.system is not None and entry.concept is not None and entry.system.is_abstract(entry.concept)


def _has(entry: Entry, words: Iterable[str], wanted: Wanted) -> bool:
    names = named(entry)
    text = fold(
        " ".join((entry.code, *(value for value, _, one in names.all() if one is None or _searched(one, wanted))))
    )
    return all(word in text for word in words)


def _searched(one: Designation, wanted: Wanted) -> bool:
    """Whether a designation is looked into: it is where it is shown."""
    return wanted.include_designations or (
        wanted.languages is not None and wanted.languages.rank(one.language) is not None
    )


def fold(text: str) -> str:
    """Text as filters compare it: without case and accents."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return "".join(one for one in plain if not unicodedata.combining(one))


def _several(entries: Iterable[Entry]) -> frozenset[str]:
    versions: dict[str, set[str | None]] = {}
    for one in entries:
        versions.setdefault(one.url, set()).add(one.version)
    return frozenset(url for url, found in versions.items() if len(found) > 1)


def _nests(members: Members) -> bool:
    """Whether a hierarchy can be shown: that of one code system, from which nothing was taken one by one."""
    return len(members.includes) == 1 and not members.excludes and not members.includes[0].flat


def _nested(entries: list[Entry], shower: Shower) -> Iterator[JSON]:
    """Each code below the first of its parents that is shown; at the top without one."""
    shown: dict[str, JSON] = {}
    above: dict[str, str | None] = {}
    for one in entries:
        shown[one.code] = shower.element(one)
    for one in entries:
        parents = one.system.parents_of(one.code) if one.system is not None else ()
        above[one.code] = next((code for code in parents if code in shown and code != one.code), None)
    for code, element in shown.items():
        parent = above[code]
        if parent is None or _turns(code, above):
            yield element
        else:
            shown[parent].setdefault("contains", []).append(element)


def _turns(code: str, above: Mapping[str, str | None]) -> bool:
    """Whether a code stands below itself: then nobody would show it."""
    seen = {code}
    one = above[code]
    while one is not None:
        if one == code:
            return True
        if one in seen:
            return False
        seen.add(one)
        one = above[one]
    return False


def _used(members: Members) -> Iterator[JSON]:
    """The code systems, supplements and value sets that the expansion rests on."""
    seen: set[tuple[str, str]] = set()

    def tell(name: str, canonical: str) -> Iterator[JSON]:
        if (name, canonical) not in seen:
            seen.add((name, canonical))
            yield {"name": name, "valueUri": canonical}

    own = publication(members.resource)
    word = own.warning(None)
    if word is not None:
        yield from tell(f"warning-{word}", members.name)
    for one in _parts(members):
        if one.system is not None:
            word = one.system.publication.warning(own)
            if word is not None:
                yield from tell(f"warning-{word}", one.system.canonical)
            yield from tell("used-codesystem", one.system.canonical)
            for supplement in one.system.supplements:
                yield from tell("used-supplement", supplement)
            if not one.system.complete:
                # https://hl7.org/fhir/R5/valueset-operation-expand.html: an expansion from a part says so.
                yield from tell("used-fragment", one.system.canonical)
        elif one.url is not None:
            yield from tell("used-codesystem", f"{one.url}|{one.version}" if one.version else one.url)
    for canonical in members.used:
        yield from tell("used-valueset", canonical)


def _parts(members: Members) -> Iterator[Any]:
    waiting, seen = [members], {id(members)}
    while waiting:
        one = waiting.pop()
        for part in (*one.includes, *one.excludes):
            yield part
            for inner in part.sets:
                if id(inner) not in seen:
                    seen.add(id(inner))
                    waiting.append(inner)
