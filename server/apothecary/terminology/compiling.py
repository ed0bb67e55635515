"""ValueSet resources -> what answers for them: https://hl7.org/fhir/R5/valueset-definitions.html#ValueSet.compose"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from apothecary.errors import FhirError, NotEnumerable, UnknownTerminology
from apothecary.fhir import terminology as tables
from apothecary.terminology import filters
from apothecary.terminology.code_systems import CodeSystem
from apothecary.terminology.compose import Members, Part, Steps
from apothecary.terminology.model import objects
from apothecary.terminology.problems import VersionRefused, circle, invalid_value_set
from apothecary.terminology.resolver import Resolver
from apothecary.terminology.sources import ValueSet

SUPPLEMENT = "http://hl7.org/fhir/StructureDefinition/valueset-supplement"
# How deep value sets may include one another.
_DEPTH = 50
# Steps that an include or exclude takes, and the first look for a code system or value set.
_PART = 10
_LOOKUP = 1_000
# What a compiled value set takes of memory beside its codes, in codes.
_PLACE = 500


class Compiler:
    """Compiles the value sets of one resolver; one that several include is compiled once.

    Raises BadRequest and Unprocessable for a value set that breaks a rule of the specification, TooCostly for one that
    is too large. What is not held is no error yet: somebody may ask for codes that do not depend on it.
    """

    def __init__(self, resolver: Resolver) -> None:
        self.resolver = resolver
        self.listed = 0
        """The codes and includes of all value sets that were compiled: what they take of memory."""
        self._known: dict[str, Members] = {}
        self._kept: dict[str, Members] = {}

    def named(self, canonical: str) -> Members:
        """The value set of a canonical url. Raises UnknownValueSet where it is not held."""
        return self._named(canonical, (), Steps(canonical))

    def resource(self, resource: Mapping[str, Any]) -> Members:
        """A ValueSet resource."""
        return self._resource(resource, (), Steps(name_of(resource)), resource)

    def kept(self, name: str, resource: Mapping[str, Any]) -> Members:
        """A ValueSet resource that will be asked about again, by a name that is its own."""
        known = self._kept.get(name)
        if known is None:
            known = self._kept[name] = self.resource(resource)
        return known

    def _named(self, canonical: str, above: tuple[str, ...], steps: Steps) -> Members:
        found = self.resolver.value_set(canonical)
        name = found.url if isinstance(found, tables.ValueSet) else name_of(found)
        if name in above:
            raise circle(above[0], (*above, name))
        known = self._known.get(name)
        if known is None:
            known = self._known[name] = self._value_set(found, above, steps)
            # The urls that may be asked about have no end.
            self.listed += _PLACE
        return known

    def _value_set(self, found: ValueSet, above: tuple[str, ...], steps: Steps) -> Members:
        if isinstance(found, tables.ValueSet):
            return Members(found.url, [*self._tabled(found)], [])
        return self._resource(found, above, steps, found)

    def _resource(
        self, resource: Mapping[str, Any], above: tuple[str, ...], steps: Steps, container: Mapping[str, Any]
    ) -> Members:
        name = name_of(resource)
        if len(above) > _DEPTH:
            raise NotEnumerable(f"{above[0]} includes value sets more than {_DEPTH} deep")
        compose, stored = resource.get("compose"), resource.get("expansion")
        wanted = tuple(supplements_of(resource))
        supplements = self.resolver.supplements(wanted)
        builder = _Builder(self, (*above, name), steps, container, supplements)
        if isinstance(compose, Mapping):
            includes = builder.parts(compose, "include")
            excludes = builder.parts(compose, "exclude")
            # Somebody who could expand it did, and left the result.
            if not isinstance(stored, Mapping) or not any(one.missing for one in (*includes, *excludes)):
                return Members(
                    name,
                    includes,
                    excludes,
                    compose.get("inactive") is False,
                    tuple(dict.fromkeys(builder.used)),
                    resource,
                    tuple(one.canonical for one in supplements),
                )
        if isinstance(stored, Mapping):
            return Members(name, [*self._stored(name, stored, steps)], [], resource=resource)
        error = NotEnumerable(f"the value set {name} neither composes its codes nor lists them")
        return Members(name, [Part(None, missing=error)], [], resource=resource)

    # -- lists that somebody else made

    def _tabled(self, found: tables.ValueSet) -> Iterator[Part]:
        for url, concepts in found.concepts.items():
            listed: dict[str, Mapping[str, Any]] = {
                code: {"display": display} if display else {} for code, display in concepts.items()
            }
            system = self.held(url, None)
            yield Part(url, system.version if system is not None else None, system, listed, trusted=True)
        if not found.complete:
            error = NotEnumerable(f"the codes of {found.url} cannot be listed: {found.reason}")
            yield from (Part(url, missing=error) for url in found.systems or (None,))

    def _stored(self, name: str, expansion: Mapping[str, Any], steps: Steps) -> Iterator[Part]:
        """The codes of an expansion that came with the value set; a page or a part says that codes are missing."""
        found: dict[tuple[str, str | None], dict[str, Mapping[str, Any]]] = {}
        count = 0
        for one in _contained(expansion):
            steps.take()
            count += 1
            url, code, version = one.get("system", ""), one.get("code"), one.get("version")
            if isinstance(url, str) and isinstance(code, str) and one.get("abstract") is not True:
                kept = {key: value for key, value in one.items() if key != "contains"}
                found.setdefault((url, version if isinstance(version, str) else None), {})[code] = kept
        for (url, version), listed in found.items():
            system = self.held(url, version)
            yield Part(url, system.version if system is not None else version, system, listed, trusted=True)
        total, offset = expansion.get("total"), expansion.get("offset")
        extensions = [str(one.get("url")) for one in objects(expansion.get("extension"))]
        if (isinstance(total, int) and total > count) or offset or any(one.endswith(_PARTIAL) for one in extensions):
            yield Part(None, missing=NotEnumerable(f"the expansion stored with {name} is only a part of it"))

    def held(self, url: str, version: str | None) -> CodeSystem | None:
        """The code system, where it is held with its concepts."""
        try:
            found = self.resolver.code_system(url, version)
        except FhirError:
            return None
        return found if found.held else None

    def system(self, url: str, version: str | None, supplements: tuple[CodeSystem, ...]) -> CodeSystem:
        """The code system that an include names. Raises UnknownCodeSystem, NotEnumerable without concepts."""
        found = self.resolver.code_system(url, version)
        if not found.held:
            raise NotEnumerable(
                f"the codes of {url} are not held here",
                remedy=f"Load the CodeSystem; or search for {url}| to find every code of that system.",
            )
        return self.resolver.laid_over(found, supplements)


_PARTIAL = ("valueset-unclosed", "valueset-toocostly")


class _Builder:
    """The parts of one value set."""

    def __init__(
        self,
        compiler: Compiler,
        above: tuple[str, ...],
        steps: Steps,
        container: Mapping[str, Any],
        supplements: tuple[CodeSystem, ...],
    ) -> None:
        self._compiler = compiler
        self._above = above
        self._steps = steps
        self._container = container
        self._supplements = supplements
        self._seen: set[str] = set()
        self._systems: dict[tuple[str, str | None], CodeSystem | FhirError] = {}
        self.used: list[str] = []

    def _system(self, url: str, version: str | None) -> CodeSystem | FhirError:
        """The code system that an include names, or why there is none; looked up once."""
        known = self._systems.get((url, version))
        if known is None:
            self._look(f"{url}|{version or ''}")
            try:
                known = self._compiler.system(url, version, self._supplements)
            except (UnknownTerminology, NotEnumerable, VersionRefused) as error:
                known = error
            self._systems[url, version] = known
        return known

    def _look(self, canonical: str) -> None:
        """Take what it costs to look something up. Raises TooCostly."""
        if canonical not in self._seen:
            self._seen.add(canonical)
            self._steps.take(_LOOKUP)

    def parts(self, compose: Mapping[str, Any], kind: str) -> list[Part]:
        """The includes, or the excludes. Lists of one system are put together."""
        found: list[Part] = []
        lists: dict[tuple[str | None, str | None, bool], Part] = {}
        for place, element in enumerate(objects(compose.get(kind))):
            self._steps.take(_PART)
            self._compiler.listed += 1
            part = self._part(element, f"ValueSet.compose.{kind}[{place}]", exclude=kind == "exclude")
            key = part.url, part.version, part.anyhow
            first = lists.get(key)
            if part.listed is not None and not part.sets and first is not None and first.listed is not None:
                for code, one in part.listed.items():
                    first.listed.setdefault(code, one)
                continue
            if part.listed is not None and not part.sets:
                lists[key] = part
            found.append(part)
        return found

    def _part(self, element: Mapping[str, Any], where: str, *, exclude: bool) -> Part:
        url, version = element.get("system"), element.get("version")
        names = element.get("valueSet") or []
        if not isinstance(url, str | None) or not isinstance(version, str | None) or not isinstance(names, list):
            raise invalid_value_set("system and version are text, valueSet is a list", where)
        if url is None and not names:
            raise invalid_value_set("An include or exclude names a system or value sets (vsd-1)", where)
        part = Part(url, version, anyhow=exclude and version is None)
        if url is not None:
            self._fill(part, url, element, where)
        sets = []
        for name in names:
            try:
                sets.append(self._set(str(name)))
            except (UnknownTerminology, VersionRefused) as error:
                part.missing = part.missing or error
        part.sets = tuple(sets)
        return part

    def _fill(self, part: Part, url: str, element: Mapping[str, Any], where: str) -> None:
        chosen = [*objects(element.get("filter"))]
        concepts = [*objects(element.get("concept"))]
        found = self._system(url, part.version)
        if isinstance(found, CodeSystem):
            part.system = found
        elif chosen or not concepts:
            part.missing = found
        system = part.system
        if system is not None:
            part.version = system.version
        if concepts:
            part.listed = self._listed(concepts, system, where)
        if chosen:
            part.tests = lambda of: filters.tests(of, chosen, where)
            if system is not None:
                try:
                    part.tests(system)
                except (UnknownTerminology, NotEnumerable) as error:
                    part.missing = error

    def _listed(
        self, concepts: list[Mapping[str, Any]], system: CodeSystem | None, where: str
    ) -> dict[str, Mapping[str, Any]]:
        found: dict[str, Mapping[str, Any]] = {}
        self._steps.take(len(concepts))
        self._compiler.listed += len(concepts)
        codes: list[str] = []
        for place, one in enumerate(concepts):
            code = one.get("code")
            if not isinstance(code, str):
                raise invalid_value_set("A concept has a code", f"{where}.concept[{place}]")
            codes.append(code)
        known = ((code, None) for code in codes) if system is None else system.find_many(codes)
        for (code, concept), one in zip(known, concepts, strict=True):
            found.setdefault(code if concept is None else concept.code, one)
        return found

    def _set(self, name: str) -> Members:
        self._look(name)
        if name.startswith("#"):
            inner = next((one for one in objects(self._container.get("contained")) if one.get("id") == name[1:]), None)
            if inner is None:
                raise invalid_value_set(f"The value set {name} is not contained in {self._above[-1]}")
            if name in self._above:
                raise circle(self._above[0], (*self._above, name))
            return self._compiler._resource(inner, (*self._above, name), self._steps, self._container)
        found = self._compiler._named(name, self._above, self._steps)
        self.used += [found.name, *found.used]
        return found


def name_of(resource: Mapping[str, Any]) -> str:
    """How a value set is named: `url|version`, its url, or its id where it has no url."""
    url, version, key = resource.get("url"), resource.get("version"), resource.get("id")
    if isinstance(url, str):
        return f"{url}|{version}" if isinstance(version, str) else url
    return f"ValueSet/{key}" if isinstance(key, str) else "(unidentified)"


def supplements_of(resource: Mapping[str, Any]) -> Iterator[str]:
    """The supplements that a value set wants: https://hl7.org/fhir/extensions/StructureDefinition-valueset-supplement.html"""
    for one in objects(resource.get("extension")):
        if one.get("url") == SUPPLEMENT and isinstance(one.get("valueCanonical"), str):
            yield one["valueCanonical"]


def _contained(parent: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    waiting = [*objects(parent.get("contains"))]
    waiting.reverse()
    while waiting:
        one = waiting.pop()
        yield one
        waiting.extend(reversed([*objects(one.get("contains"))]))
