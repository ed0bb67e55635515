"""A code system: its concepts, its hierarchy, and the standard properties of its concepts.

https://hl7.org/fhir/R5/codesystem.html#hierarchy and https://hl7.org/fhir/R5/codesystem.html#defined-props
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from copy import copy
from functools import cached_property

from apothecary.fhir.code_forms import FORMS, Form
from apothecary.terminology.model import STANDARDS_STATUS, Concept, Property, PropertyDefinition
from apothecary.terminology.publication import UNTOLD, Publication
from apothecary.terminology.selection import Page, Selection

CONCEPT_PROPERTIES = "http://hl7.org/fhir/concept-properties#"
# Names of the hierarchy that are written otherwise than the standard property is.
_ALIASES = {"not-selectable": "notSelectable", "abstract": "notSelectable", "subsumedBy": "parent"}
STANDARD = frozenset({"status", "inactive", "notSelectable", "parent", "child", "partOf", "synonym", "comment"})
_INACTIVE = frozenset({"inactive", "retired"})

Edges = Mapping[str, tuple[str, ...]]


class CodeSystem:
    """A code system whose concepts are all in memory. Where a rule makes them, what asks for them is overridden
    (`find`, `codes`, `parents_of`); where they live elsewhere, `concepts` and `parents` are mappings that look them up,
    and so may be what is found by an index there (`select`, `page`, `find_many`, `children_of`, `descendants`).

    `content` is `complete`, or why not all codes are there: fragment, example, not-present or supplement.
    `supplements` are those that were laid over it, as `url|version`.
    """

    def __init__(
        self,
        url: str,
        version: str | None = None,
        concepts: Mapping[str, Concept] | None = None,
        parents: Edges | None = None,
        *,
        name: str | None = None,
        language: str = "",
        case_sensitive: bool | None = None,
        content: str = "complete",
        properties: Mapping[str, PropertyDefinition] | None = None,
        supplements: tuple[str, ...] = (),
        value_set: str | None = None,
        supplemented: str | None = None,
        publication: Publication = UNTOLD,
    ) -> None:
        self.url = url
        self.version = version
        self.concepts: Mapping[str, Concept] = concepts or {}
        self.parents: Edges = parents or {}
        self.name = name
        self.language = language
        self.case_sensitive = case_sensitive
        self.content = content
        self.properties: Mapping[str, PropertyDefinition] = properties or {}
        self.supplements = supplements
        self.value_set = value_set
        """The canonical of the value set of all its codes, where it names one."""
        self.supplemented = supplemented
        """The canonical of the code system that it is a supplement of."""
        self.publication = publication

    @property
    def canonical(self) -> str:
        """`url|version`, or the url where there is no version."""
        return f"{self.url}|{self.version}" if self.version else self.url

    @property
    def held(self) -> bool:
        """Whether it has concepts that answers can be made from."""
        return bool(self.concepts) and self.content not in ("not-present", "example", "supplement")

    @property
    def complete(self) -> bool:
        """Whether a code that is not found is none."""
        return self.content == "complete"

    @property
    def size(self) -> int:
        """The number of its concepts: what it costs to walk through them."""
        return len(self.concepts)

    def extended(
        self,
        concepts: Mapping[str, Concept],
        properties: Mapping[str, PropertyDefinition],
        supplements: tuple[str, ...],
        _used: frozenset[str],
    ) -> CodeSystem:
        """The same with more said of its concepts, by properties of which some are `used` besides."""
        other = copy(self)
        for name in [name for name in vars(other) if isinstance(getattr(type(self), name, None), cached_property)]:
            delattr(other, name)
        other.concepts, other.properties, other.supplements = concepts, properties, supplements
        return other

    # -- concepts

    def find(self, code: str) -> Concept | None:
        """The concept of `code`, whatever the case where the system says that it does not count; None without one."""
        found = self.concepts.get(code)
        if found is None and self.case_sensitive is False:
            written = self._folded.get(code.casefold())
            return None if written is None else self.concepts[written]
        return found

    def codes(self) -> Iterator[Concept]:
        """All concepts in the order of the definition. Raises NotEnumerable where a rule makes them."""
        yield from self.concepts.values()

    def find_many(self, codes: Iterable[str]) -> Iterator[tuple[str, Concept | None]]:
        """Each of the codes with its concept, as `find` has it."""
        return ((code, self.find(code)) for code in codes)

    def select(self, _selection: Selection) -> Iterator[Concept] | None:
        """The concepts that are selected, in order; None where no index finds them, and somebody must walk."""
        return None

    def page(self, _selection: Selection, _offset: int, _count: int) -> Page | None:
        """Some of the concepts that are selected; None as for `select`."""
        return None

    @cached_property
    def _folded(self) -> Mapping[str, str]:
        return {code.casefold(): code for code in self.concepts}

    # -- hierarchy

    @property
    def form(self) -> Form | None:
        """What the form of its codes says of the hierarchy, None where it says nothing."""
        return FORMS.get(self.url)

    def may_have(self, code: str) -> bool:
        """Whether `code` has the form of its codes, and may be among those that are not held."""
        return not self.complete and (self.form is None or self.form.fits(code))

    def stands(self, code: str) -> bool:
        """Whether it can be told where a code stands that is not held: by its form."""
        return self.form is not None and self.may_have(code)

    def parents_of(self, code: str) -> tuple[str, ...]:
        return self.parents.get(code, ())

    def children_of(self, code: str) -> tuple[str, ...]:
        return self._children.get(code, ())

    @cached_property
    def _children(self) -> Edges:
        found: dict[str, list[str]] = {}
        for code, parents in self.parents.items():
            for parent in parents:
                found.setdefault(parent, []).append(code)
        order = {code: place for place, code in enumerate(self.concepts)}
        end = len(order)
        return {above: tuple(sorted(codes, key=lambda one: order.get(one, end))) for above, codes in found.items()}

    def ancestors(self, code: str) -> frozenset[str]:
        """All that subsume `code`, itself not included."""
        found: set[str] = set()
        form = self.form
        unlisted = form is not None and code not in self.concepts and self.stands(code)
        waiting = list(form.above(code) if form is not None and unlisted else self.parents_of(code))
        while waiting:
            one = waiting.pop()
            if one not in found:
                found.add(one)
                waiting.extend(self.parents_of(one))
        found.discard(code)
        return frozenset(found)

    def descendants(self, code: str) -> frozenset[str]:
        """All that `code` subsumes, itself not included."""
        found: set[str] = set()
        waiting = list(self.children_of(code))
        form = self.form
        if form is not None and code not in self.concepts and self.stands(code):
            waiting += [one for one in self.concepts if form.subsumes(code, one)]
        while waiting:
            one = waiting.pop()
            if one not in found:
                found.add(one)
                waiting.extend(self.children_of(one))
        found.discard(code)
        return frozenset(found)

    def all_below(self, code: str) -> Container[str]:
        """What is asked again and again whether `code` subsumes it, itself not included."""
        return self.descendants(code)

    def subsumes(self, above: str, code: str) -> bool:
        """Whether `above` is an ancestor of `code`; found upwards, where the ways are short."""
        return above in self.ancestors(code) or (self.form is not None and self.form.subsumes(above, code))

    # -- properties

    @cached_property
    def _codes_of(self) -> Mapping[str, frozenset[str]]:
        """For each standard property, the codes under which this system writes it."""
        found = {name: {name} for name in STANDARD}
        for alias, name in _ALIASES.items():
            found[name].add(alias)
        for one in self.properties.values():
            if one.uri.startswith(CONCEPT_PROPERTIES):
                name = one.uri.removeprefix(CONCEPT_PROPERTIES)
                name = _ALIASES.get(name, name)
                for others in found.values():
                    others.discard(one.code)
                found.setdefault(name, {name}).add(one.code)
        return {name: frozenset(codes) for name, codes in found.items()}

    def codes_of(self, name: str) -> frozenset[str]:
        """The codes of the properties that `name` means: that one, and those declared to be the same standard one."""
        return self._codes_of.get(self.meaning(name), frozenset()) | {name}

    def meaning(self, name: str) -> str:
        """The standard property that `name` is, else `name` itself."""
        declared = self.properties.get(name)
        if declared is not None and declared.uri:
            if not declared.uri.startswith(CONCEPT_PROPERTIES):
                return name
            return standard_name(declared.uri.removeprefix(CONCEPT_PROPERTIES))
        return standard_name(name)

    def knows(self, name: str) -> bool:
        """Whether the system declares a property, one of its concepts has it, or the specification defines it."""
        wanted = self.codes_of(name)
        return not wanted.isdisjoint(self.properties) or bool(wanted & self.used) or standard_name(name) in STANDARD

    @cached_property
    def used(self) -> frozenset[str]:
        """The properties that its concepts have."""
        return frozenset(one.code for concept in self.concepts.values() for one in concept.properties)

    def values(self, concept: Concept, name: str) -> list[Property]:
        """The values of one property of a concept; `name` may be the standard one."""
        wanted = self.codes_of(name)
        return [one for one in concept.properties if one.code in wanted]

    def status(self, concept: Concept) -> str | None:
        """https://hl7.org/fhir/R5/codesystem.html#status, else the extension that says as much."""
        said = next((one.text for one in self.values(concept, "status")), None)
        if said is None:
            extension = concept.extension(STANDARDS_STATUS)
            said = None if extension is None else extension.get("valueCode")
        return said

    def is_inactive(self, concept: Concept) -> bool:
        """Whether the system has taken the concept out of use."""
        return any(one.text == "true" for one in self.values(concept, "inactive")) or (
            self.status(concept) in _INACTIVE
        )

    def is_abstract(self, concept: Concept) -> bool:
        """Whether the concept is there to group others only."""
        return any(one.text == "true" for one in self.values(concept, "notSelectable"))


def standard_name(name: str) -> str:
    """The name of a standard property, where `name` is another way to write it."""
    return _ALIASES.get(name, name)
