"""The statements that name the drugs of a list, found through the index.

https://hl7.org/fhir/R5/clinicalusedefinition.html: those that have a drug as their subject. Of interactions only those
that name another drug of the list besides, and those that name what interacts otherwise than by a code: there may be
hundreds of others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import chain

from apothecary.errors import TooCostly
from apothecary.operations.detect_issues_lookup import Lookup, rows
from apothecary.safety.concepts import Key, Node
from apothecary.safety.drugs import Drug
from apothecary.safety.statements import Statement
from apothecary.search.normalisation import any_forms
from apothecary.search.predicates import Compare, Every, Not, Predicate, Resource, Row, all_of, any_of
from apothecary.search.query import Query
from apothecary.store.contract import Hit

TYPE = "ClinicalUseDefinition"
_ITEM = "ClinicalUseDefinition.interaction.interactant.item"
# Parameters of the content, and what they must read to be of use here.
_OWN = {"interactant": f"{_ITEM}.ofType(CodeableConcept)", "interactant-reference": f"{_ITEM}.ofType(Reference)"}
# Statements of one search, and bytes of them: a list that finds more is looked into part by part.
_MOST, _BYTES = 5000, 32 * 1024 * 1024
# Statements that all the searches of one list may find.
MOST = 20_000


class Statements:
    """The searches for one list."""

    def __init__(self, lookup: Lookup, drugs: Sequence[Drug]) -> None:
        self.lookup = lookup
        self._drugs = drugs
        known = lookup.registry.parameters(TYPE) if lookup.registry.serves(TYPE) else {}
        # What is being indexed is not there yet, and a parameter of the same name may be another one.
        late = lookup.service.live.now.incomplete.get(TYPE, frozenset())
        own = {name: one.expression for name, one in known.items() if one.index not in late}
        self._index = {
            name: one.index for name, one in known.items() if name in own and own[name] == _OWN.get(name, own[name])
        }
        self._found: dict[str, Statement] = {}
        self.linked: dict[str, list[str]] = {}
        """For statements without a subject, the resources that name them."""

    @property
    def served(self) -> bool:
        """Whether there can be statements at all."""
        return bool(self._index)

    @property
    def pairs_indexed(self) -> bool:
        """Whether interactions are found by what interacts: a search parameter of the content."""
        return "interactant" in self._index

    def all(self) -> list[Statement]:
        """The statements, each once, in the order of their ids. Raises TooCostly where they are too many."""
        references = sorted({one for drug in self._drugs for one in drug.references if not one.startswith("#")})
        keys = sorted({one for drug in self._drugs for one in drug.codes})
        if not self.served:
            return []
        wanted = self._between(references, keys)
        if wanted:
            # One search for all: what is no interaction, and the interactions of these drugs with each other.
            wanted = [any_of([Not(self._type("interaction")), *wanted])]
        for some in _parts(references):
            self._add(self._search(some, *wanted))
        self._add(self._without_subject(keys, references))
        self._link()
        return [self._found[one] for one in sorted(self._found)]

    def naming(self, drug: Drug) -> bool:
        """Whether any interaction is stated of a drug."""
        if not self._named.isdisjoint(drug.nodes):
            return True
        references = [one for one in drug.references if not one.startswith("#")]
        wanted: list[Predicate] = [*self._pointing("subject", references), *self._interactants(references, drug.codes)]
        if not wanted:
            return False
        query = Query({TYPE: all_of([self._type("interaction"), any_of(wanted)])}, count=1)
        return bool(self.lookup.reader.search(query, _BYTES).hits)

    @cached_property
    def _named(self) -> frozenset[Node]:
        """What the interactions that were found name."""
        pairs = (one for one in self._found.values() if one.type == "interaction")
        return frozenset(node for one in pairs for each in chain(one.subjects, one.interactants) for node in each.nodes)

    # -- predicates

    def _type(self, *types: str) -> Predicate:
        forms = tuple(form for one in types for form in any_forms(one))
        return Row("token", self._index["type"], Compare("code", "in", forms))

    def _pointing(self, parameter: str, references: Iterable[str]) -> list[Predicate]:
        """References of a parameter that point to one of the resources: one list a type."""
        if parameter not in self._index:
            return []
        by_type: dict[str, list[str]] = {}
        for one in references:
            kind, _, identity = one.partition("/")
            by_type.setdefault(kind, []).append(identity)
        return [
            Row(
                "reference",
                self._index[parameter],
                Every((Compare("target_id", "in", tuple(some)), Compare("target_type", "=", kind))),
            )
            for kind, some in by_type.items()
        ]

    def _interactants(self, references: Sequence[str], keys: Iterable[Key]) -> list[Predicate]:
        found = self._pointing("interactant-reference", references)
        if self.pairs_indexed:
            by_system: dict[str, list[str]] = {}
            for system, form in keys:
                by_system.setdefault(system, []).append(form)
            found += rows(self._index["interactant"], by_system)
        return found

    def _between(self, references: Sequence[str], keys: Sequence[Key]) -> list[Predicate]:
        """That an interaction names one of the drugs as what interacts, or nothing by a code; nothing where the content
        does not index what interacts.
        """
        if not self.pairs_indexed or "interactant-reference" not in self._index:
            return []
        token, reference = self._index["interactant"], self._index["interactant-reference"]
        uncoded = Row("token", token, Compare("code", "=", ""))
        unnamed = all_of([Not(Row("token", token)), Not(Row("reference", reference))])
        return [any_of([*self._interactants(references, keys), uncoded, unnamed])]

    # -- searches

    def _search(self, references: Sequence[str], *further: Predicate) -> Iterator[Hit]:
        pointing = self._pointing("subject", references)
        if pointing:
            yield from self._hits(all_of([any_of(pointing), *further]), references, further)

    def _hits(self, wanted: Predicate, references: Sequence[str], further: tuple[Predicate, ...]) -> Iterator[Hit]:
        page = self.lookup.reader.search(Query({TYPE: wanted}, count=_MOST), _BYTES)
        if page.more_after and len(references) > 1:
            half = len(references) // 2
            for some in (references[:half], references[half:]):
                yield from self._search(some, *further)
            return
        if page.more_after:
            raise _too_many(f"of {references[0]} alone" if references else "without a subject")
        yield from page.hits

    def _without_subject(self, keys: Sequence[Key], references: Sequence[str]) -> Iterator[Hit]:
        """Interactions that name all drugs alike, as what interacts."""
        wanted = self._interactants(references, keys)
        if wanted:
            bare = Not(Row("reference", self._index["subject"]))
            hits = self._hits(all_of([any_of(wanted), bare]), (), ())
            # There are next to none: to ask for the type as well takes longer.
            yield from (one for one in hits if self.lookup.statement(one).type == "interaction")

    def _link(self) -> None:
        """Statements without a subject that a MedicationKnowledge names."""
        for drug in self._drugs:
            for name, one in drug.resources.items():
                for each in one.statements if name in drug.nodes else ():
                    self.linked.setdefault(each, []).append(name)
        wanted = [one.partition("/")[2] for one in self.linked if one not in self._found]
        for some in _parts(wanted, 500):
            bare = Not(Row("reference", self._index["subject"]))
            asked = all_of([Resource(Compare("id", "in", tuple(some))), bare])
            self._add(self.lookup.reader.search(Query({TYPE: asked}, count=len(some)), _BYTES).hits)

    def _add(self, hits: Iterable[Hit]) -> None:
        for hit in hits:
            name = f"{hit.type}/{hit.id}"
            if name not in self._found:
                self._found[name] = self.lookup.statement(hit)
                if len(self._found) > MOST:
                    raise _too_many("of these drugs")


def _parts(values: Sequence[str], size: int = 2000) -> Iterator[Sequence[str]]:
    return (values[start : start + size] for start in range(0, len(values), size))


def _too_many(which: str) -> TooCostly:
    return TooCostly(
        f"more than {MOST} statements {which} would have to be looked at",
        expression="medication",
        remedy="Ask about fewer drugs.",
    )
