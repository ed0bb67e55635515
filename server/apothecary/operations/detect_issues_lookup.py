"""What `$detect-issues` looks up: resources by their codes, and what stands above a code.

https://hl7.org/fhir/R5/medication-definition-module.html and https://hl7.org/fhir/R5/codesystem.html#hierarchy. All
goes through the reader of the service, so that whoever may see less is answered from less.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TypeVar

import msgspec

from apothecary.errors import FhirError, NotEnumerable, UnknownTerminology
from apothecary.fhir.caches import memory_of
from apothecary.fhir.code_forms import FORMS
from apothecary.fhir.json import JSON
from apothecary.fhir.references import localise, localised, parse_reference
from apothecary.fhir.releases import FhirVersion
from apothecary.interactions.forms import body_in
from apothecary.interactions.service import Service
from apothecary.interactions.terminology import held
from apothecary.safety.asked import Code
from apothecary.safety.concepts import Key, Keys
from apothecary.safety.drugs import Holding, holding
from apothecary.safety.statements import Statement, statement
from apothecary.search.own import bases
from apothecary.search.predicates import Compare, Every, Predicate, Row, any_of
from apothecary.search.query import Query
from apothecary.search.text import key
from apothecary.store.contract import Hit, Stored

T = TypeVar("T")

# Where drugs, substances and classes are, and the parameters that have what they are called.
TYPES: Mapping[str, tuple[str, ...]] = {
    "MedicationKnowledge": ("code", "identifier"),
    "Medication": ("code", "identifier"),
    "Substance": ("code", "identifier"),
    "SubstanceDefinition": ("code", "identifier"),
    "MedicinalProductDefinition": ("identifier",),
}
# Resources that one code finds; where there are more, that is told.
MOST_OF_ONE = 500


class Lookup:
    """One request's view of what is held of drugs and their names."""

    def __init__(self, service: Service, version: FhirVersion, base: str) -> None:
        self.service = service
        self.reader = service.reader
        self.registry = service.registry(version).newest
        self.terminology = held(service, version, base)
        self._bases = bases(service.settings, base)
        self._readings = service.readings
        shortest = (one for one in self._bases if not any(one != root and one.startswith(root) for root in self._bases))
        self._roots = [one.encode() for one in shortest]
        self._keys: dict[tuple[str, str], list[Key]] = {}
        self.cut: dict[Code, list[str]] = {}
        """The codes that more resources are called by than are looked at, with their types."""
        self.unlisted: list[str] = []
        """The value sets that were asked for and cannot be listed here."""

    # -- codes

    def keys(self, system: str, code: str) -> list[Key]:
        """How the index compares a code."""
        known = self._keys.get((system, code))
        if known is None:
            short = key(system)
            known = [(short, form) for form in self.registry.systems.forms(system, code)]
            self._keys[system, code] = known
        return known

    def members(self, value_set: str) -> list[Key]:
        """The codes of a value set; none where it cannot be listed here."""
        try:
            listed = self.terminology.members(value_set)
        except FhirError:
            self.unlisted.append(value_set)
            return []
        return [(key(system), form) for system, forms in listed.items() for form in forms]

    def above(self, code: Code) -> tuple[tuple[Code, ...], bool]:
        """What stands above a code, and whether anything is known of its hierarchy. A circle ends."""
        question = ("safety above", code.system, code.code)
        return self.terminology.remembered(question, lambda: self._above(code))

    def above_keys(self, code: Code) -> Iterator[Key]:
        """The keys of what stands above a code."""
        return (key for one in self.above(code)[0] for key in self.keys(one.system, one.code))

    def display(self, code: Code) -> str:
        """What the code system calls it; empty where that is not held."""
        question = ("safety display", code.system, code.code)
        found: str = self.terminology.remembered(question, lambda: self._display(code))
        return found

    def _display(self, code: Code) -> str:
        with suppress(UnknownTerminology, NotEnumerable):
            concept = self.terminology.hierarchy(code.system).find(code.code)
            return concept.display if concept is not None else ""
        return ""

    def _above(self, code: Code) -> tuple[tuple[Code, ...], bool]:
        found: dict[str, str] = {}
        form = FORMS.get(code.system)
        known = form is not None and form.fits(code.code)
        if form is not None and known:
            found.update(dict.fromkeys(form.above(code.code), ""))
        with suppress(UnknownTerminology, NotEnumerable):
            system = self.terminology.hierarchy(code.system)
            itself = system.find(code.code)
            known |= itself is not None or system.stands(code.code)
            for one, concept in system.find_many(sorted(system.ancestors(itself.code if itself else code.code))):
                found[one] = concept.display if concept is not None else ""
        return tuple(Code(code.system, one, display) for one, display in found.items() if one != code.code), known

    # -- resources

    def r5(self, one: Hit | Stored) -> JSON:
        """The R5 form of a resource, to be read only: its numbers do not keep their digits, and references to this
        server's own addresses are relative, as the index has them.
        """
        return self._parsed(body_in(one, FhirVersion.R5))

    def _parsed(self, text: bytes) -> JSON:
        found: JSON = msgspec.json.decode(text)
        return {**localised(found, self._bases)} if self._names_us(text) else found

    def _names_us(self, text: bytes) -> bool:
        return any(root in text for root in self._roots)

    def local(self, literal: str) -> str:
        """`Type/id` of a reference to this server, empty for another."""
        reference = parse_reference(localise(literal, self._bases))
        return f"{reference.type}/{reference.id}" if reference.relative else ""

    def read(self, references: Iterable[str]) -> dict[str, Stored]:
        """The resources that are there."""
        wanted = []
        for one in references:
            kind, _, identity = one.partition("/")
            if self.registry.serves(kind):
                wanted.append((kind, identity))
        return {f"{one.type}/{one.id}": one for one in (self.reader.read_many(wanted) if wanted else ())}

    def holding(self, one: Hit | Stored) -> Holding:
        """What a resource says of a drug, a substance or a class."""
        return self._reading(one, holding)

    def statement(self, one: Hit | Stored) -> Statement:
        """What a ClinicalUseDefinition states."""
        return self._reading(one, _statement)

    def _reading(self, one: Hit | Stored, read: Callable[[JSON, str, Keys], T]) -> T:
        """What `read` makes of a resource: of one text the same for all, as long as code systems say the same of case
        and this server has the same addresses. No number of a version says as much as the text: a transaction may be
        rolled back.
        """
        name, text = f"{one.type}/{one.id}", body_in(one, FhirVersion.R5)
        here = self._bases if self._names_us(text) else ()
        known = read.__name__, name, self.registry.systems.digest, here, text
        found: T | None = self._readings.get(known)
        if found is None:
            resource = self._parsed(text)
            found = read(resource, name, self.keys)
            # What is read of a text takes about as much as the text in memory.
            self._readings.put(known, found, len(text) + memory_of(resource))
        return found

    def coded(self, codes: Sequence[Code]) -> Iterator[Holding]:
        """The resources that are called by one of the codes."""
        if codes:
            for kind, parameters in TYPES.items():
                if self.registry.serves(kind):
                    yield from map(self.holding, self._found(kind, parameters, codes))

    def _found(self, kind: str, parameters: Sequence[str], codes: Sequence[Code]) -> list[Hit]:
        known = self.registry.parameters(kind)
        wanted = [self._any(known[one].index, codes) for one in parameters if one in known]
        if not wanted:
            return []
        query = Query({kind: any_of([one for part in wanted for one in part])}, count=MOST_OF_ONE)
        page = self.reader.search(query, self.service.settings.answer_limit)
        if page.more_after and len(codes) > 1:
            half = len(codes) // 2
            parts = (self._found(kind, parameters, some) for some in (codes[:half], codes[half:]))
            return list({(one.type, one.id): one for part in parts for one in part}.values())
        if page.more_after:
            self.cut.setdefault(codes[0], []).append(kind)
        return list(page.hits)

    def _any(self, index: str, codes: Iterable[Code]) -> list[Predicate]:
        """One list a system, so that a statement is the same for lists of any length."""
        by_system: dict[str, list[str]] = {}
        for one in codes:
            for system, form in self.keys(one.system, one.code):
                by_system.setdefault(system, []).append(form)
        return rows(index, by_system)


def _statement(resource: JSON, _: str, keys: Keys) -> Statement:
    return statement(resource, keys)


def rows(index: str, by_system: Mapping[str, Sequence[str]]) -> list[Predicate]:
    """Token rows of a parameter, any of which has one of the forms of a system."""
    return [
        Row("token", index, Every((Compare("code", "in", tuple(forms)), Compare("system", "=", system))))
        for system, forms in by_system.items()
    ]
