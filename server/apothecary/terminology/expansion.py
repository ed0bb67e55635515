"""The codes of a value set as an expansion: https://hl7.org/fhir/R5/valueset-operation-expand.html"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import uuid4

from apothecary.errors import BadRequest
from apothecary.fhir.temporal import instant, now
from apothecary.terminology import words
from apothecary.terminology.compose import Entry, Members, Part, Steps
from apothecary.terminology.languages import Languages, named, of_value_set
from apothecary.terminology.model import Designation
from apothecary.terminology.problems import too_costly
from apothecary.terminology.publication import publication
from apothecary.terminology.selection import Selection
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
    found = _Found(wanted.offset or 0, wanted.limit + 1 if wanted.count is None else wanted.count)
    terms = words.asked(wanted.filter)
    if terms is not None:
        if len(terms) > words.MOST_WORDS:
            raise BadRequest(
                f"the filter has more than {words.MOST_WORDS} words", expression="filter", code="too-costly"
            )
        _find(members, wanted, terms, found)
    page = found.page
    if len(page) > wanted.limit:
        raise too_costly(members.name, wanted.limit)
    shower = Shower(
        languages,
        wanted.include_designations,
        wanted.designations,
        wanted.properties,
        several=frozenset(url for url, versions in found.versions.items() if len(versions) > 1),
    )
    paged = wanted.offset is not None or wanted.count is not None or bool(wanted.filter)
    nested = not wanted.exclude_nested and not paged and _nests(members)
    contains = [*_nested(page, shower)] if nested else [shower.element(one) for one in page]
    told: JSON = {"identifier": f"urn:uuid:{uuid4()}", "timestamp": instant(now())}
    if found.total is not None:
        told["total"] = found.total
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


@dataclass(slots=True)
class _Found:
    """The page that is wanted: `count` entries after the first `offset`, gathered one after the other."""

    offset: int
    count: int
    page: list[Entry] = field(default_factory=list)
    total: int | None = 0
    """None where nobody counted."""
    versions: dict[str, set[str | None]] = field(default_factory=dict)

    def add(self, entries: Iterable[Entry]) -> None:
        """Take in entries, of which all are counted."""
        for one in entries:
            self.versions.setdefault(one.url, set()).add(one.version)
            if self.offset > 0:
                self.offset -= 1
            elif len(self.page) < self.count:
                self.page.append(one)
            if self.total is not None:
                self.total += 1

    def take(self, part: Part, selection: Selection) -> bool:
        """Take in what the code system of a part finds by its index; False where it has none."""
        system = part.system
        page = None if system is None else system.page(selection, self.offset, self.count - len(self.page))
        if page is None or system is None:
            return False
        concepts, total = page
        if concepts or total != 0:
            self.versions.setdefault(system.url, set()).add(system.version)
        self.page += [Entry(system.url, system.version, one.code, system, one) for one in concepts]
        # Where nobody counted, the page is full.
        self.offset = 0 if total is None else max(0, self.offset - total)
        self.total = None if total is None or self.total is None else self.total + total
        return True


def _find(members: Members, wanted: Wanted, terms: tuple[str, ...], found: _Found) -> None:
    """The codes that are wanted, with all of `terms`."""
    steps = Steps(members.name)
    some = (
        not wanted.include_designations and bool(terms) and wanted.languages is not None and bool(wanted.languages.tags)
    )
    selection = Selection(terms, wanted.include_designations or some, (), wanted.active_only, wanted.exclude_not_for_ui)
    parts = members.indexed()
    if parts is None:
        found.add(_wanted(members.walk(steps, selection), terms, wanted))
        return
    for part, active in parts:
        exact = None if some else part.indexed(replace(selection, active=active or selection.active))
        if exact is not None and found.take(part, exact):
            continue
        entries: Iterable[Entry] = part.entries(steps, selection)
        if active:
            entries = (one for one in entries if not one.inactive)
        found.add(_wanted(entries, terms, wanted))


def _wanted(entries: Iterable[Entry], terms: tuple[str, ...], wanted: Wanted) -> Iterator[Entry]:
    for one in entries:
        if one.barred or (wanted.active_only and one.inactive) or (wanted.exclude_not_for_ui and _abstract(one)):
            continue
        if not terms or _has(one, terms, wanted):
            yield one


def _has(entry: Entry, terms: Iterable[str], wanted: Wanted) -> bool:
    names = named(entry)
    own = words.folded((entry.code, names.display))
    further = words.folded(one.value for one in names.designations)
    searched = (text for text, one in zip(further, names.designations, strict=True) if _searched(one, wanted))
    return words.meets((*own, *searched), terms)


def _searched(one: Designation, wanted: Wanted) -> bool:
    """Whether a designation is looked into: it is where it is shown."""
    return wanted.include_designations or (
        wanted.languages is not None and wanted.languages.rank(one.language) is not None
    )


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
