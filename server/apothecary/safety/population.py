"""Whether somebody belongs to a population, as far as a Group says who does: https://hl7.org/fhir/R5/group.html

Age, sex, pregnancy, breast-feeding and conditions are computed. What else sets a population apart, or words alone,
leave it open: that is told, and never taken for yes or no.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from apothecary.fhir.json import JSON
from apothecary.fhir.ucum import SYSTEM as UCUM
from apothecary.fhir.ucum import UcumError, canonical
from apothecary.safety.asked import AskedConcept, Sex
from apothecary.safety.concepts import Concept, Key, Keys, concept, items, texted

# What a characteristic is about, by codes of SNOMED CT and LOINC (https://loinc.org) and by words.
_ABOUT = {
    "age": {"397669002", "424144002", "30525-0", "age"},
    "sex": {"263495000", "734000001", "46098-0", "76689-9", "gender", "sex"},
    "pregnancy": {"77386006", "82810-3", "11449-6", "pregnancy", "pregnant", "pregnancy status"},
    "lactation": {"413712001", "63895-7", "lactation", "breastfeeding", "breast-feeding", "breastfeeding status"},
}
_SEXES: dict[str, Sex] = {
    **dict.fromkeys(("248153007", "male", "M"), "male"),
    **dict.fromkeys(("248152002", "female", "F"), "female"),
}
_YES = {"77386006", "413712001", "LA15173-0", "LA33-6", "Y", "yes"}
# What an alert is called: https://terminology.hl7.org/CodeSystem-v3-ActCode.html
ALERTS = {"age": "AGE", "sex": "GEND", "pregnancy": "PREG", "lactation": "LACT", "condition": "COND"}


@dataclass(frozen=True, slots=True)
class KnownConcept:
    """A condition, with all codes that stand for it or above it and the sentence that leads to each."""

    asked: AskedConcept
    nodes: dict[Key, str]
    of: int | None = None
    """The drug that is prescribed for it, by its number; None for a condition of the patient."""

    def meets(self, named: Concept, members: Sequence[Key] = ()) -> tuple[str, ...] | None:
        """The sentences that lead from it to a concept; None where it is not meant."""
        for one in named.codes:
            for key in one.keys:
                if key in self.nodes:
                    remark = (
                        f"{one.remark}: the source says {named.text!r}" if one.remark and named.text else one.remark
                    )
                    return tuple(filter(None, [self.nodes[key], remark]))
        for key in members:
            if key in self.nodes:
                return tuple(filter(None, [self.nodes[key], f"it is a member of {', '.join(named.value_sets)}"]))
        return None


@dataclass(slots=True)
class Patient:
    """What is known of who takes the drugs. None is unknown."""

    conditions: list[KnownConcept] = field(default_factory=list)
    """Those of the patient, and those that drugs are prescribed for."""
    age: Decimal | None = None
    sex: Sex | None = None
    pregnant: bool | None = None
    lactating: bool | None = None


@dataclass(frozen=True, slots=True)
class Membership:
    """`belongs` is None where that is open, and `why` says what it hangs on; `about` names what decided."""

    belongs: bool | None
    why: str
    about: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Population:
    """A Group: what it is called, and what sets it apart."""

    reference: str
    name: str
    characteristics: tuple[JSON, ...]
    any_of: bool

    def of(self, patient: Patient, keys: Keys) -> Membership:
        """Whether the patient belongs to it."""
        if not self.characteristics:
            return Membership(None, f"{self.reference} ({self.name}) does not say in codes who belongs to it")
        found = [_meets(one, patient, keys) for one in self.characteristics]
        about = tuple(dict.fromkeys(name for one in found if one.belongs for name in one.about))
        yes = [one for one in found if one.belongs]
        no = [one for one in found if one.belongs is False]
        open_ = [one for one in found if one.belongs is None]
        if (yes and self.any_of) or not (no or open_):
            return Membership(True, "; ".join(one.why for one in yes), about)
        if (no and not self.any_of) or not open_:
            return Membership(False, "; ".join(one.why for one in no))
        return Membership(None, f"{self.reference} ({self.name}): " + "; ".join(one.why for one in open_))


def population(resource: JSON, reference: str) -> Population:
    """The population that a Group of any release defines."""
    name = texted(resource.get("name")) or texted(resource.get("title")) or reference
    method = resource.get("combinationMethod")
    return Population(reference, name, tuple(items(resource.get("characteristic"))), method == "any-of")


def _words(concept_: Any) -> Iterator[str]:
    if isinstance(concept_, dict):
        for one in items(concept_.get("coding")):
            yield texted(one.get("code"))
            yield texted(one.get("display"))
        yield texted(concept_.get("text"))


def _about(one: JSON) -> str:
    said = set(_words(one.get("code")))
    folded = said | {word.casefold() for word in said}
    return next((name for name, known in _ABOUT.items() if known & folded), "")


def _meets(one: JSON, patient: Patient, keys: Keys) -> Membership:
    about = _about(one)
    found = {"age": _age, "sex": _sex, "pregnancy": _pregnancy, "lactation": _lactation}.get(about, _condition)(
        one, patient, keys
    )
    if one.get("exclude") is not True or found.belongs is None:
        return found
    if found.about == ("condition",):
        # A condition more must never take an issue away.
        return Membership(True, "what it leaves out was not looked at")
    return Membership(not found.belongs, f"left out: {found.why}", found.about)


def _years(quantity: Any) -> Decimal | None:
    if not isinstance(quantity, dict):
        return None
    try:
        value = Decimal(str(quantity.get("value")))
        unit = texted(quantity.get("code")) if quantity.get("system") in (None, UCUM) else ""
        unit = unit or {"years": "a", "year": "a", "months": "mo", "weeks": "wk", "days": "d"}.get(
            texted(quantity.get("unit")), texted(quantity.get("unit"))
        )
        base, year = canonical(value, unit), canonical(Decimal(1), "a")
    except (InvalidOperation, UcumError, ValueError):
        return None
    if base is None or year is None or base[1] != year[1]:
        return None
    return base[0] / year[0]


def _age(one: JSON, patient: Patient, _keys: Keys) -> Membership:
    span, exact = one.get("valueRange"), one.get("valueQuantity")
    if isinstance(span, dict):
        low, high = span.get("low"), span.get("high")
        bounds = [(_years(low), "below", low), (_years(high), "above", high)]
        if any(said is not None and years is None for years, _, said in bounds) or (low is None and high is None):
            return Membership(None, "its ages cannot be read")
        if patient.age is None:
            return Membership(None, "the age is not given")
        (least, *_), (most, *_) = bounds
        inside = (least is None or patient.age >= least) and (most is None or patient.age <= most)
        if not inside and most is not None and most < patient.age and int(patient.age) <= most:
            # The bounds of a Range are exact (https://hl7.org/fhir/R5/datatypes.html#Range); those of a label are not.
            return Membership(None, f"it ends at {most.normalize():f} years, and the age is {_shown(patient.age)}")
    elif isinstance(exact, dict):
        years = _years(exact)
        if years is None:
            return Membership(None, "its ages cannot be read")
        if patient.age is None:
            return Membership(None, "the age is not given")
        inside = {
            "<": patient.age < years,
            "<=": patient.age <= years,
            ">": patient.age > years,
            ">=": patient.age >= years,
        }.get(texted(exact.get("comparator")), int(patient.age) == int(years))
    else:
        return Membership(None, "its ages cannot be read")
    shown = _shown(patient.age)
    return Membership(inside, f"an age of {shown} years {'belongs' if inside else 'does not belong'} to it", ("age",))


def _shown(age: Decimal) -> str:
    return f"{round(age, 2).normalize():f}"


def _sex(one: JSON, patient: Patient, _keys: Keys) -> Membership:
    wanted = next((_SEXES[word] for word in _words(one.get("valueCodeableConcept")) if word in _SEXES), None)
    if wanted is None:
        return Membership(None, "the sex it is for cannot be read")
    if patient.sex is None:
        return Membership(None, "the sex is not given")
    return Membership(patient.sex == wanted, f"the sex is {patient.sex}", ("sex",))


def _state(one: JSON, state: bool | None, name: str, about: str) -> Membership:
    value = one.get("valueBoolean")
    said = {*_words(one.get("valueCodeableConcept"))}
    wanted = value if isinstance(value, bool) else True if said & _YES or said & _ABOUT[about] else None
    if wanted is None:
        return Membership(None, f"what it says of {name} cannot be read")
    if state is None:
        return Membership(None, f"{name} is not given")
    return Membership(state == wanted, f"{name}: {'yes' if state else 'no'}", (about,))


def _pregnancy(one: JSON, patient: Patient, _keys: Keys) -> Membership:
    return _state(one, patient.pregnant, "pregnancy", "pregnancy")


def _lactation(one: JSON, patient: Patient, _keys: Keys) -> Membership:
    return _state(one, patient.lactating, "breast-feeding", "lactation")


def _condition(one: JSON, patient: Patient, keys: Keys) -> Membership:
    named = concept(one.get("valueCodeableConcept"), keys)
    if not named.codes:
        return Membership(None, "it is set apart by words alone, or by what is not computed here")
    for known in patient.conditions:
        if (why := known.meets(named)) is not None:
            return Membership(True, "; ".join(why), ("condition",))
    return Membership(False, f"{named.label} is not among the conditions", ("condition",))
