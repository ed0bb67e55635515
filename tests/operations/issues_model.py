"""What `$detect-issues` finds, the slow way: every statement against every drug, by rules written from docs/safety.md.

Nothing of `apothecary.safety` and of the index is used here: model and server may not share a mistake. The worlds are
those of `tests.operations.issue_worlds`: codes by one system each, R5 shapes alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

JSON = Mapping[str, Any]
Node = tuple[str, str] | str
Key = tuple[str, str, tuple[int, ...], str]
SILENT = ("retired", "draft")
LIMITATION = "https://example.org/fhir/StructureDefinition/limitation-condition"
MEMBER_OF = "https://example.org/fhir/StructureDefinition/member-of"


def codes(concept: JSON | None) -> list[tuple[str, str]]:
    return [(one["system"], one["code"]) for one in (concept or {}).get("coding", ())]


def ancestors(world: JSON, code: tuple[str, str]) -> set[tuple[str, str]]:
    """All that stands above a code, walked along the parents until nothing is new."""
    found: set[tuple[str, str]] = set()
    waiting = [code]
    while waiting:
        system, one = waiting.pop()
        for parent in world["parents"].get(system, {}).get(one, ()):
            if (system, parent) not in found:
                found.add((system, parent))
                waiting.append((system, parent))
    return found - {code}


class Names:
    """Everything that names one drug."""

    def __init__(self, world: JSON, asked: Any) -> None:
        self._world = world
        self.itself: set[Node] = set()
        self.ingredients: set[Node] = set()
        self.excipients: set[Node] = set()
        self.classes: set[Node] = set()
        self.above: set[Node] = set()
        self.asked = asked
        self.itself.add(asked)
        before = -1
        while before != (before := self._size()):
            for reference, resource in world["resources"].items():
                self._look(reference, resource)
            for some in (self.itself, self.ingredients, self.excipients, self.classes):
                for node in list(some):
                    if isinstance(node, tuple):
                        self.above |= ancestors(world, node)

    def _size(self) -> int:
        return sum(map(len, (self.itself, self.ingredients, self.excipients, self.classes, self.above)))

    @property
    def all(self) -> set[Node]:
        return self.itself | self.ingredients | self.excipients | self.classes | self.above

    def _look(self, reference: str, resource: JSON) -> None:
        if resource["resourceType"] not in ("Medication", "MedicationKnowledge", "Substance"):
            return
        code = resource.get("code") or {}
        own = codes(code.get("concept") if "concept" in code else code)
        substance = resource["resourceType"] == "Substance"
        for place, some in (("itself", self.itself), ("ingredient", self.ingredients), ("excipient", self.excipients)):
            stands = reference in some or any(one in some for one in (own if place != "itself" else own[:1]))
            if stands:
                some.add(reference)
                some.update(own)
                some.update(self._same(resource))
            if stands:
                self._inside(resource, place)
        if self.asked in own and own[0] not in self.itself:
            # A narrower record: products that share a code differ in what is not active.
            self._inside(resource, "itself", narrower=True)
        if own[:1] and own[0] in self.classes:
            self.classes |= {reference, *own}
            self._classified(resource, self.classes)
        if own[:1] and own[0] in self.above:
            self.above |= {reference, *own}
            self._classified(resource, self.above)
        assert not (substance and "medicineClassification" in resource)

    def _same(self, resource: JSON) -> Iterator[str]:
        for one in resource.get("associatedMedication", ()):
            yield one["reference"]

    def _inside(self, resource: JSON, place: str, *, narrower: bool = False) -> None:
        listed = resource.get("ingredient") or resource.get("definitional", {}).get("ingredient", [])
        for one in listed:
            if narrower and not one.get("isActive", True):
                continue
            active = one.get("isActive", True) and place != "excipient"
            into = self.ingredients if active else self.excipients
            item = one.get("item") or {}
            into.update(codes(item.get("concept") or one.get("substanceCodeableConcept")))
            reference = (item.get("reference") or one.get("substanceReference") or {}).get("reference")
            if reference:
                into.add(reference)
        if place != "excipient":
            self._classified(resource, self.classes)

    def _classified(self, resource: JSON, into: set[Node]) -> None:
        for one in resource.get("medicineClassification", ()):
            for each in one["classification"]:
                into.update(codes(each))


def met(world: JSON, names: Names, concept: JSON | None, reference: JSON | None) -> bool:
    """Whether a concept or a reference names a drug."""
    if reference and reference["reference"] in names.all:
        return True
    for one in (concept or {}).get("extension", ()):
        if one["url"] == MEMBER_OF and any(code in names.all for code in world["sets"].get(one["valueCanonical"], ())):
            return True
    return any(one in names.all for one in codes(concept))


def subject_of(world: JSON, names: Names, statement: JSON) -> bool:
    return any(met(world, names, None, one) for one in statement.get("subject", ()))


def findings(
    world: JSON, drugs: Sequence[Any], conditions: Sequence[Any], allergies: Sequence[Any], age: int | None
) -> set[Key]:
    """The keys of what must be found: kind, statement, the numbers of the drugs, what of the patient it concerns."""
    names = [Names(world, one) for one in drugs]
    found: set[Key] = set()
    for one in world["resources"].values():
        if one["resourceType"] != "ClinicalUseDefinition" or one["status"]["coding"][0]["code"] in SILENT:
            continue
        statement = f"ClinicalUseDefinition/{one['id']}"
        for number, its in enumerate(names):
            if one["type"] == "interaction":
                for other, others in enumerate(names):
                    for item in one["interaction"].get("interactant", ()):
                        sides = subject_of(world, its, one)
                        concept, reference = item.get("itemCodeableConcept"), item.get("itemReference")
                        if number != other and sides and met(world, others, concept, reference):
                            found.add(("drug-drug", statement, tuple(sorted((number, other))), ""))
            elif subject_of(world, its, one):
                found.update(
                    (kind, statement, (number,), about) for kind, about in against(world, one, conditions, age)
                )
    for (number, its), (other, others) in combinations(enumerate(names), 2):
        if (its.itself | its.ingredients) & (others.itself | others.ingredients):
            found.add(("duplicate-ingredient", "", (number, other), ""))
        elif its.classes & others.classes:
            found.add(("duplicate-class", "", (number, other), ""))
    for allergy in allergies:
        to = Names(world, allergy)
        for number, its in enumerate(names):
            if (to.itself | to.ingredients | to.excipients) & its.all:
                found.add(("allergy", "", (number,), "|".join(allergy)))
    return found


def against(world: JSON, one: JSON, conditions: Sequence[Any], age: int | None) -> Iterator[tuple[str, str]]:
    """What a statement about one drug says against a patient."""
    part = one.get(one["type"], {})
    belongs = True
    for reference in one.get("population", ()):
        span = world["resources"][reference["reference"]]["characteristic"][0]["valueRange"]
        belongs = age is not None and span["low"]["value"] <= age <= span["high"]["value"]
    limited = next(
        (each["valueCodeableConcept"] for each in part.get("extension", ()) if each["url"] == LIMITATION), None
    )
    named = limited or part.get("diseaseSymptomProcedure", {}).get("concept")
    hit = [
        condition
        for condition in conditions
        if any(code == condition or code in ancestors(world, condition) for code in codes(named))
    ]
    if one["type"] == "contraindication" and belongs:
        yield from (("drug-condition", "|".join(condition)) for condition in hit)
        if not named and one.get("population"):
            yield "population", ""
    elif limited:
        yield from (("limitation", "|".join(condition)) for condition in hit)
    elif one["type"] == "warning" and one.get("population") and belongs:
        yield "population", ""
