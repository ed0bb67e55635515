"""A drug of the list with everything that names it, and how that was inferred: product, ingredient, class.

https://hl7.org/fhir/R5/medication-definition-module.html. Inference goes up alone: from a product to what it contains,
from that to its classes and what stands above them. What is said of one product is never said of another.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Literal, NamedTuple, get_args

import msgspec

from apothecary.fhir.json import JSON
from apothecary.safety.asked import AskedDrug, Code
from apothecary.safety.concepts import Coded, Concept, Key, Keys, Node, codings, concept, either, items, pointed, texted
from apothecary.safety.found import Implicated

Place = Literal["itself", "ingredient", "excipient", "class", "above"]
PLACES: tuple[Place, ...] = get_args(Place)
"""What says most comes first: a node that is reached in two ways stands in the first of both places."""
_ATC = "http://www.whocc.no/atc"
# The subgroup of a substance: https://atcddd.fhi.no/atc/structure_and_principles/
_SUBSTANCE, _SUBGROUP = 7, 5


class Step(NamedTuple):
    """How a node was reached: where it stands, what that is called, the sentence that says why, and from where."""

    place: Place
    label: str
    why: str
    origin: Node | None


@dataclass(slots=True)
class Drug:
    """A drug of the list. `nodes` has everything that names it."""

    number: int
    asked: AskedDrug
    nodes: dict[Node, Step] = field(default_factory=dict)
    routes: list[Concept] = field(default_factory=list)
    resources: dict[str, Holding] = field(default_factory=dict)
    """The resources that stand for it, its ingredients and classes, by `Type/id`."""
    remarks: list[str] = field(default_factory=list)
    """What of it could not be looked at."""
    _label: str = ""
    _own: tuple[str, ...] | None = None

    @property
    def label(self) -> str:
        """What to call it: in the words of the request, else by what is held here."""
        if not self._label:
            own = self.asked.label
            self._label = own
            if not self.asked.name and not any(one.display for one in self.asked.codes):
                codes = {f"{one.system}|" for one in self.asked.codes}
                held = (
                    one.label
                    for one in self.nodes.values()
                    if one.place == "itself" and one.label != own and not one.label.startswith(tuple(codes))
                )
                self._label = next(held, own)
        return self._label

    @property
    def implicated(self) -> Implicated:
        """How findings name it."""
        return Implicated(self.number, self.label)

    @property
    def understood(self) -> bool:
        """Whether anything is known of it."""
        return any(one.telling for one in self.resources.values()) or any(
            one.place != "itself" for one in self.nodes.values()
        )

    @property
    def references(self) -> list[str]:
        """`Type/id` of all resources that name it."""
        return [one for one in self.nodes if isinstance(one, str)]

    @property
    def own(self) -> tuple[str, ...]:
        """`Type/id` of the resources that stand for the drug itself; asked for once all is known of it."""
        if self._own is None:
            found = [one for one, _ in self.of("itself") if isinstance(one, str)]
            self._own = tuple(one for one in found if not one.startswith("#"))
        return self._own

    @property
    def codes(self) -> list[Key]:
        """All codes that name it."""
        return [one for one in self.nodes if not isinstance(one, str)]

    def add(self, nodes: Iterable[Node], place: Place, label: str, why: str, origin: Node | None) -> list[Node]:
        """Note nodes that were not known, or known in a place that says less; those are given back."""
        rank = PLACES.index(place)
        fresh = [one for one in nodes if one not in self.nodes or PLACES.index(self.nodes[one].place) > rank]
        for one in fresh:
            self.nodes[one] = Step(place, label, why, origin)
        return fresh

    def chain(self, node: Node) -> tuple[str, ...]:
        """The sentences that lead from what was asked to a node."""
        found: list[str] = []
        at: Node | None = node
        while at is not None and len(found) <= len(self.nodes):
            step = self.nodes[at]
            if step.why:
                found.append(step.why)
            at = step.origin
        return tuple(dict.fromkeys(reversed(found)))

    def of(self, *places: Place) -> Iterator[tuple[Node, Step]]:
        """The nodes that stand in one of the places."""
        return ((node, step) for node, step in self.nodes.items() if step.place in places)

    def meets(self, named: Concept, members: Iterable[Key] = ()) -> Node | None:
        """The node by which a concept names this drug; None where it does not. `members` are those of its value
        sets.
        """
        return next((node for node in chain(named.nodes, members) if node in self.nodes), None)


class Holding(msgspec.Struct, frozen=True, gc=False):
    """What a resource that stands for a drug, a substance or a class says of it."""

    reference: str
    label: str
    codes: tuple[Coded, ...]
    identifiers: tuple[Coded, ...] = ()
    """These find it. They do not name what it is: thousands of products may share one application."""
    ingredients: tuple[tuple[Concept, bool], ...] = ()
    """With whether it is active."""
    classes: tuple[Concept, ...] = ()
    same: tuple[str, ...] = ()
    """Other resources that stand for the same."""
    routes: tuple[Concept, ...] = ()
    statements: tuple[str, ...] = ()
    """The ClinicalUseDefinitions that it names."""
    beside: Mapping[str, JSON] = msgspec.field(default_factory=dict)
    """Resources that came with it, by the references to them."""

    @property
    def telling(self) -> bool:
        """Whether it says what drug it is: an order does not, nor does what has neither a code nor a name."""
        return bool(self.codes or self.ingredients or self.classes or self.label != self.reference)

    @property
    def called(self) -> Coded | None:
        """What its own catalogue calls it by: the first code that is no wider or narrower than it."""
        exact = (one for one in (*self.codes, *self.identifiers) if not one.relationship)
        return next(exact, None)


_INACTIVE = frozenset({"IACT", "COLR", "FLVR", "PRSV", "STBL", "ADJV"})


def holding(resource: JSON, reference: str, keys: Keys, beside: Mapping[str, JSON] | None = None) -> Holding:
    """What a Medication, MedicationKnowledge, Substance, SubstanceDefinition or MedicinalProductDefinition of any
    release says; of another type, its code.
    """
    coded = [*codings(resource.get("code"), keys)]
    if isinstance(resource.get("code"), dict):
        coded += codings(resource["code"].get("concept"), keys)
    for one in items(resource.get("code")):
        coded += codings(one.get("code"), keys)
    definitional = resource.get("definitional")
    about = definitional if isinstance(definitional, dict) else resource
    return Holding(
        reference,
        _label(resource) or reference,
        tuple(dict.fromkeys(coded)),
        tuple(_identifiers(resource, keys)),
        tuple(_ingredients(about, keys)),
        tuple(_classes(resource, keys)),
        tuple(_same(resource)),
        tuple(concept(one, keys) for one in items(about.get("intendedRoute"))),
        tuple(_statements(resource)),
        {f"#{one.get('id')}": one for one in items(resource.get("contained"))} if beside is None else beside,
    )


def _identifiers(resource: JSON, keys: Keys) -> Iterator[Coded]:
    for one in items(resource.get("identifier")):
        system, value = texted(one.get("system")), texted(one.get("value"))
        if system and value:
            yield Coded(Code(system, value), tuple(keys(system, value)))


def _label(resource: JSON) -> str:
    code = resource.get("code")
    if isinstance(code, dict):
        inner = code.get("concept")
        said = inner if isinstance(inner, dict) else code
        if text := texted(said.get("text")):
            return text
        if text := next(filter(None, (texted(one.get("display")) for one in items(said.get("coding")))), ""):
            return text
    names = resource.get("name")
    for one in names if isinstance(names, list) else ():
        if text := texted(one.get("productName") or one.get("name") if isinstance(one, dict) else one):
            return text
    return ""


def _ingredients(about: JSON, keys: Keys) -> Iterator[tuple[Concept, bool]]:
    for one in items(about.get("ingredient")):
        if "coding" in one or "text" in one:  # a MedicinalProductDefinition lists concepts
            yield concept(one, keys), True
            continue
        kinds = one.get("type")
        role = {texted(each.get("code")) for each in items(kinds.get("coding") if isinstance(kinds, dict) else None)}
        active = one.get("isActive") is not False and not role & _INACTIVE
        for name in ("item", "substance"):
            if found := either(one, name, keys):
                yield found, active


def _classes(resource: JSON, keys: Keys) -> Iterator[Concept]:
    for one in items(resource.get("medicineClassification")):
        listed = one.get("classification")
        for each in items(listed):
            yield concept(each, keys)
        if isinstance(one.get("classificationCodeableConcept"), dict):
            yield concept(one["classificationCodeableConcept"], keys)
    for one in items(resource.get("classification")):
        yield concept(one, keys)


def _same(resource: JSON) -> Iterator[str]:
    linked = resource.get("associatedMedication")
    for one in (*items(linked), linked, resource.get("definition")):
        if found := pointed(one).reference:
            yield found
    code = resource.get("code")
    if isinstance(code, dict) and (found := pointed(code.get("reference")).reference):
        yield found


def _statements(resource: JSON) -> Iterator[str]:
    listed = [*items(resource.get("clinicalUseIssue"))]
    for guideline in items(resource.get("indicationGuideline")):
        used = (one.get("reference") for one in items(guideline.get("indication")))
        listed += [one for one in used if isinstance(one, dict)]
    for one in listed:
        if (found := pointed(one).reference).startswith("ClinicalUseDefinition/"):
            yield found


def subgroup(code: Code) -> Code | None:
    """The chemical subgroup of a substance's ATC code: what counts as its class, though the code alone says so."""
    if code.system == _ATC and len(code.code) == _SUBSTANCE and code.code.isupper():
        return Code(_ATC, code.code[:_SUBGROUP])
    return None
