"""The concept maps that this server holds: https://hl7.org/fhir/R5/conceptmap.html"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from apothecary.errors import Issue, TooCostly, UnknownTerminology
from apothecary.fhir.json import JSON, parse
from apothecary.fhir.references import split_canonical
from apothecary.fhir.releases import FhirVersion
from apothecary.fhir.temporal import now
from apothecary.interactions.known import MODELLED
from apothecary.interactions.service import Service
from apothecary.interactions.sizes import size
from apothecary.search import own
from apothecary.search.context import Context
from apothecary.search.parser import parse as parse_search
from apothecary.search.query import Query
from apothecary.search.text import escape
from apothecary.store.contract import Hit
from apothecary.terminology.concept_maps import ConceptMap, concept_map
from apothecary.terminology.sources import Candidate
from apothecary.terminology.versions import matches

# More maps from or to one code system, and more versions of one map, than anybody keeps.
MOST_MAPS = 500
# The search parameters for the code systems of the groups; R5 gave them other names.
_SIDES = {"source": "source-group-system", "target": "target-group-system"}


class ConceptMaps:
    """What one request sees: maps that it brings along before those of the store."""

    def __init__(self, service: Service, version: FhirVersion, base: str, given: Iterable[JSON] = ()) -> None:
        self._service = service
        self._version = version
        self._base = base
        self._given = [concept_map(one) for one in given]

    def named(self, canonical: str, version: str | None = None) -> ConceptMap:
        """The map of a canonical url; of several versions the newest active one. Raises UnknownTerminology."""
        url, named = split_canonical(canonical)
        wanted = version or named
        for held in (self._own(url), self._stored("url", url)):
            fitting = [one for one in held if matches(wanted, one.version)]
            if fitting:
                return max(fitting, key=lambda one: one.rank).load()
        text = f"A definition for the ConceptMap '{url}{f'|{wanted}' if wanted else ''}' could not be found"
        remedy = "Load the ConceptMap, or name one that [base]/ConceptMap lists."
        raise UnknownTerminology(text, issues=[Issue("error", "not-found", text, remedy=remedy, kind="not-found")])

    def about(self, system: str, side: str) -> list[ConceptMap]:
        """The maps of which a group has `system` on that side (`source`, `target`): one version of each. Raises
        TooCostly for more than can be looked at.
        """

        def has(one: ConceptMap) -> bool:
            return any(getattr(group, side) == system for group in one.groups)

        given = [one for one in self._given if has(one)]
        # A map of R5 may name the version in the canonical, which is a plain uri to the releases before.
        parameter = _SIDES[side] if self._version is FhirVersion.R5 else f"{side}-system:below"
        best: dict[object, Candidate[ConceptMap]] = {}
        for place, one in enumerate(self._stored(parameter, system)):
            url = one.load().url
            if not has(one.load()):
                continue
            # A map that names no url is one of its own.
            key = url or place
            if key not in best or one.rank > best[key].rank:
                best[key] = one
        known = {one.url for one in given if one.url}
        return [*given, *(found for one in best.values() if (found := one.load()).url not in known)]

    def kept(self, body: bytes) -> ConceptMap:
        """The map that a stored text is."""
        return self._service.models.get(body, _read)

    def _own(self, url: str) -> Sequence[Candidate[ConceptMap]]:
        return [
            # mypy does not infer a lambda whose argument has a default.
            Candidate(one.version, lambda one=one: one, one.status == "active", -place)  # type: ignore[misc]  # bound
            for place, one in enumerate(self._given)
            if one.url == url
        ]

    def _stored(self, parameter: str, url: str) -> Sequence[Candidate[ConceptMap]]:
        registry = self._service.registry(self._version)
        if not url or not registry.serves("ConceptMap"):
            return ()
        context = Context(registry, ("ConceptMap",), own.bases(self._service.settings, self._base), now, strict=True)
        query = parse_search(context, [(parameter, escape(url))]).query
        page, limit = self._service.reader.search(Query(query.predicates, (), MOST_MAPS), MODELLED), None
        if size(page.hits) > MODELLED:
            limit = f"{MODELLED} bytes of"
        elif page.more_after:
            limit = str(MOST_MAPS)
        if limit is not None:
            text = f"more than {limit} concept maps have {parameter}={url}"
            raise TooCostly(text, issues=[Issue("error", "too-costly", text, remedy="Name one with url.")])
        return [self._candidate(one) for one in page.hits]

    def _candidate(self, hit: Hit) -> Candidate[ConceptMap]:
        body = hit.body
        found = self.kept(body)
        return Candidate(found.version, lambda: self.kept(body), found.status == "active", hit.updated)


def _read(body: bytes) -> ConceptMap:
    return concept_map(parse(body))
