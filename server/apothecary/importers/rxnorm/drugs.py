"""RxNorm's drugs as Medication and MedicationKnowledge, its ingredients as Substance.

https://hl7.org/fhir/R5/medicationknowledge.html, https://hl7.org/fhir/R5/medication.html and https://hl7.org/fhir/R5/substance.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from apothecary.fhir.json import JSON
from apothecary.importers import units
from apothecary.importers.amounts import number
from apothecary.importers.formats import Made
from apothecary.importers.report import Place, Report
from apothecary.importers.rxnorm.concepts import BOSS, BRANDED, DRUGS, GROUPS, INGREDIENTS, PACKS, Concepts
from apothecary.importers.rxnorm.rows import CONSO, SAT, Release

SYSTEM = "http://www.nlm.nih.gov/research/umls/rxnorm"
_UNII = "http://fdasis.nlm.nih.gov"
_ATC = "http://www.whocc.no/atc"
_NDC = "http://hl7.org/fhir/sid/ndc"
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?|\.\d+) ?([^\s/\d][^\s/]*)(?:/(.+))?", re.ASCII)


def identity(concept: int) -> str:
    """The id of what stands for a concept."""
    return f"rxnorm-{concept}"


class Drugs:
    """Makes the resources of each concept."""

    def __init__(self, concepts: Concepts, release: Release, report: Report) -> None:
        self._concepts = concepts
        self._release = release
        self._report = report
        self._tradenames: dict[int, list[int]] = {}
        for one in self._drugs:
            for generic in concepts.to(one, "tradename_of"):
                self._tradenames.setdefault(generic, []).append(one)

    @property
    def _drugs(self) -> Iterator[int]:
        return (one for one, kind in self._concepts.kind.items() if kind in DRUGS)

    def resources(self) -> Iterator[Made]:
        """Substances, and for each drug a Medication and a MedicationKnowledge."""
        for one, kind in self._concepts.kind.items():
            place = self._release.place(CONSO, self._concepts.lines[one])
            if kind in INGREDIENTS:
                yield Made(self._substance(one), place)
            elif kind in DRUGS:
                parts = self._components(one, place) if kind not in PACKS else []
                yield Made(self._medication(one, parts), place)
                yield Made(self._knowledge(one, parts), place)

    # -- what both have

    def _coding(self, concept: int) -> JSON:
        return {"system": SYSTEM, "code": str(concept), "display": self._concepts.name[concept]}

    def _code(self, drug: int) -> JSON:
        """What identifies a drug: its RXCUI, and the NDCs of its packages."""
        codes = [self._coding(drug), *({"system": _NDC, "code": one} for one in self._concepts.ndc.get(drug, ()))]
        shown = [said for kind, said in self._concepts.synonyms.get(drug, ()) if kind == "PSN"]
        return {"coding": codes, "text": (shown or [self._concepts.name[drug]])[0]}

    def _status(self, concept: int) -> str:
        return "inactive" if concept in self._concepts.inactive else "active"

    def _form(self, drug: int) -> JSON | None:
        forms = self._concepts.to(drug, "has_dose_form")
        if not forms:
            return None
        return {"coding": [self._coding(one) for one in forms], "text": self._concepts.name[forms[0]]}

    def _substance_codes(self, substances: Iterable[int]) -> JSON:
        """A salt is coded by what it is a form of, too, so that a search for either finds it."""
        codes: list[JSON] = []
        substances = list(substances)
        for one in substances:
            codes.append(self._coding(one))
            codes += ({"system": _UNII, "code": code} for code in self._concepts.unii.get(one, ()))
        return {"coding": codes, "text": self._concepts.name[substances[0]]}

    # -- ingredients

    def _components(self, drug: int, place: Place) -> list[JSON]:
        """The ingredients of a drug with their strengths, as both types have them."""
        concepts = self._concepts
        found = concepts.of_kind(concepts.to(drug, "consists_of"), {"SCDC"})
        if not found:
            branded = concepts.of_kind(concepts.to(drug, "consists_of"), {"SBDC"})
            generic = concepts.of_kind(concepts.to(drug, "tradename_of"), {"SCD"})
            above = [part for one in branded for part in concepts.to(one, "tradename_of")]
            above += [part for one in generic for part in concepts.to(one, "consists_of")]
            found = list(dict.fromkeys(concepts.of_kind(above, {"SCDC"})))
        if not found and drug not in concepts.inactive:
            self._report.approximated(place, f"{drug} has no component: its ingredients are in its name only")
        return [one for part in found if (one := self._ingredient(drug, part, place)) is not None]

    def _ingredient(self, drug: int, component: int, place: Place) -> JSON | None:
        precise = self._concepts.to(component, "has_precise_ingredient")
        base = self._concepts.to(component, "has_ingredient")
        base = base or self._concepts.to(precise[0], "form_of") if precise else base
        substances = list(dict.fromkeys((*precise, *base)))
        if not substances:
            self._report.approximated(place, f"{component}, a component of {drug}, has no ingredient")
            return None
        return {"item": {"concept": self._substance_codes(substances)}, **self._strength(component)}

    def _strength(self, component: int) -> JSON:
        """The amount in a component: a ratio, or what is said of it in words."""
        values = self._concepts.values
        amount, unit, of, of_unit = (values.get((component, name)) for name in BOSS)
        place = self._release.place(SAT, 0, f"RXN_STRENGTH of {component}")
        if amount and unit:
            above, below = _quantity(amount, unit), _quantity(of or "1", of_unit or "1")
            if above is not None and below is not None:
                return {"strengthRatio": {"numerator": above, "denominator": below}}
        said = values.get((component, "RXN_STRENGTH"))
        if said is None:
            return {}
        parts = _AMOUNT.fullmatch(said)
        above = _quantity(parts[1], parts[2]) if parts else None
        if parts and above is not None and parts[3] is None:
            return {"strengthQuantity": above}
        below = _per(parts[3]) if parts else None
        if above is None or below is None:
            self._report.approximated(place, f"{said!r} is kept as a text")
            return {"strengthCodeableConcept": {"text": said}}
        return {"strengthRatio": {"numerator": above, "denominator": below}}

    # -- the resources

    def _substance(self, concept: int) -> JSON:
        return {
            "resourceType": "Substance",
            "id": identity(concept),
            "instance": False,
            "status": self._status(concept),
            "code": {"concept": self._substance_codes([concept])},
        }

    def _medication(self, drug: int, parts: list[JSON]) -> JSON:
        made: JSON = {
            "resourceType": "Medication",
            "id": identity(drug),
            "code": self._code(drug),
            "status": self._status(drug),
        }
        if (form := self._form(drug)) is not None:
            made["doseForm"] = form
        said = self._concepts.values.get((drug, "RXN_QUANTITY"))
        if said is not None:
            volume = _quantity(*amount.group(1, 2)) if (amount := _AMOUNT.fullmatch(said)) and not amount[3] else None
            if volume is None:
                place = self._release.place(SAT, 0, f"RXN_QUANTITY of {drug}")
                self._report.approximated(place, f"{said!r} is in the name only")
            else:
                made["totalVolume"] = volume
        held = self._concepts.of_kind(self._concepts.to(drug, "contains"), DRUGS)
        inside: list[JSON] = [
            {"item": {"reference": {"reference": f"Medication/{identity(one)}", "display": self._concepts.name[one]}}}
            for one in held
        ]
        inside += [{**one, "isActive": True} for one in parts]
        if inside:
            made["ingredient"] = inside
        return made

    def _knowledge(self, drug: int, parts: list[JSON]) -> JSON:
        branded = self._concepts.kind[drug] in BRANDED
        made: JSON = {
            "resourceType": "MedicationKnowledge",
            "id": identity(drug),
            "code": self._code(drug),
            "status": self._status(drug),
        }
        if names := self._names(drug):
            made["name"] = names
        made["productType"] = [{"text": "branded" if branded else "generic"}]
        made["associatedMedication"] = [{"reference": f"Medication/{identity(drug)}"}]
        related = [self._related(kind, one) for kind, one in self._relations(drug)]
        if related:
            made["relatedMedicationKnowledge"] = related
        if classes := list(self._classes(drug)):
            made["medicineClassification"] = classes
        # What a pack holds has its strengths itself.
        inside = parts or [
            {"item": {"concept": self._substance_codes(substances)}} for substances in self._substances(drug)
        ]
        form = self._form(drug)
        if form is not None or inside:
            made["definitional"] = {
                **({"doseForm": form} if form is not None else {}),
                **({"ingredient": [{"item": one["item"], **_only_strength(one)} for one in inside]} if inside else {}),
            }
        return made

    def _names(self, drug: int) -> list[str]:
        """Brands, the generic name, and the names that NLM gives besides."""
        concepts = self._concepts
        found = [concepts.name[one] for one in concepts.of_kind(concepts.to(drug, "has_ingredient"), {"BN"})]
        generic = [drug, *concepts.to(drug, "tradename_of")]
        several = [one for each in generic for one in concepts.of_kind(concepts.to(each, "has_ingredients"), {"MIN"})]
        substances = [one[-1] for one in self._substances(drug)]
        if several:
            found.append(concepts.name[several[0]])
        elif substances:
            found.append(" / ".join(concepts.name[one] for one in substances))
        found += (said for _, said in concepts.synonyms.get(drug, ()))
        return [one for one in dict.fromkeys(found) if one != concepts.name[drug]]

    def _substances(self, drug: int) -> list[tuple[int, ...]]:
        """What a drug contains, each as the salt and what that is a form of, or one of them; of a pack, what its drugs
        contain.
        """
        concepts, found = self._concepts, {}
        held = concepts.of_kind(concepts.to(drug, "contains"), DRUGS) or [drug]
        for one in held:
            generic = [one, *concepts.of_kind(concepts.to(one, "tradename_of"), {"SCD"})]
            parts = [part for each in generic for part in concepts.to(each, "consists_of")]
            for part in concepts.of_kind(parts, {"SCDC"}):
                precise, base = concepts.to(part, "has_precise_ingredient"), concepts.to(part, "has_ingredient")
                if substances := tuple(dict.fromkeys((*precise, *base))):
                    found[substances] = True
        return list(found)

    def _relations(self, drug: int) -> Iterator[tuple[str, int]]:
        concepts = self._concepts
        for relation, said in (
            ("tradename_of", "tradename of"),
            ("contains", "contains"),
            ("quantified_form_of", "quantified form of"),
        ):
            yield from ((said, one) for one in concepts.of_kind(concepts.to(drug, relation), DRUGS))
        yield from (("has tradename", one) for one in self._tradenames.get(drug, ()))

    def _related(self, kind: str, other: int) -> JSON:
        reference = {"reference": f"MedicationKnowledge/{identity(other)}", "display": self._concepts.name[other]}
        return {"type": {"text": kind}, "reference": [reference]}

    def _classes(self, drug: int) -> Iterator[JSON]:
        """The groups that RxNorm puts a drug into, and the ATC codes of the ingredient of a drug that has one."""
        concepts = self._concepts
        for one in concepts.of_kind(concepts.to(drug, "isa"), GROUPS):
            yield {"type": {"text": concepts.kind[one]}, "classification": [{"coding": [self._coding(one)]}]}
        substances = self._substances(drug)
        if len(substances) == 1:
            codes = [code for one in substances[0] for code in concepts.atc.get(one, ())]
            if codes:
                listed = [{"coding": [{"system": _ATC, "code": code}]} for code in dict.fromkeys(codes)]
                yield {"type": {"text": "ATC of the ingredient"}, "classification": listed}


def _quantity(amount: str, unit: str) -> JSON | None:
    """An amount with its unit, in UCUM; None where one of them is not known."""
    value, code = number(amount), "1" if unit == "1" else units.rxnorm(unit)
    return None if value is None or code is None else units.quantity(value, unit, code)


def _per(said: str) -> JSON | None:
    """What an amount is of: `ML`, `5 ML`."""
    if (parts := _AMOUNT.fullmatch(said)) is None:
        return _quantity("1", said)
    return _quantity(parts[1], parts[2]) if parts[3] is None else None


def _only_strength(part: JSON) -> JSON:
    return {name: value for name, value in part.items() if name.startswith("strength")}
