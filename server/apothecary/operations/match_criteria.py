"""What `$match` is asked for: codes, names, strengths and forms, of parameters or of a resource.

https://hl7.org/fhir/R5/patient-operation-match.html has the operation that this one is like.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from apothecary.errors import BadRequest, Issue, NotSupported
from apothecary.fhir.json import JSON
from apothecary.fhir.releases import FhirVersion
from apothecary.fhir.ucum import SYSTEM as UCUM
from apothecary.fhir.ucum import UcumError, canonical, is_valid
from apothecary.importers import units
from apothecary.search.words import words
from apothecary.versions import convert

# Of each kind so many are looked for: a drug has no more codes and names that tell it from others.
MOST = 20
# Longer names are none, and each word of one is looked for.
_LONGEST_NAME, _MOST_WORDS = 500, 32
_AMOUNT = re.compile(r"\s*(\d{1,12}(?:\.\d{1,12})?)\s*([^\s/\d][^\s/]*)?\s*", re.ASCII)
_READ = frozenset({"resourceType", "id", "meta", "text", "language", "implicitRules", "status", "identifier", "code"})
_READ_OF = {
    "Medication": _READ | {"doseForm", "ingredient"},
    "MedicationKnowledge": _READ | {"name", "definitional"},
}
# Units of what is counted: `{tbl}`, `1`.
_COUNTED = re.compile(r"\{[^{}]*\}|1")


class Code(NamedTuple):
    """A code to look for, and its system where that is known."""

    system: str | None
    code: str

    @property
    def token(self) -> tuple[str | None, str]:
        """The two as they stand."""
        return self.system, self.code

    def __str__(self) -> str:
        return f"{self.system}|{self.code}" if self.system else self.code


class Amount(NamedTuple):
    """A strength: so much of an ingredient, in so much; `per_unit` is empty where that is one of what is dispensed, or
    is not said.
    """

    value: Decimal
    unit: str
    per: Decimal = Decimal(1)
    per_unit: str = ""

    def alike(self, other: Amount) -> float:
        """1 for the same strength, 0.5 where the amount is the same and what it is in is not, else 0."""
        above, other_above = _base(self.value, self.unit), _base(other.value, other.unit)
        below, other_below = _base(self.per, self.per_unit), _base(other.per, other.per_unit)
        if above[1] != other_above[1]:
            return 0
        if below[1] == other_below[1] and _equal(above[0] * other_below[0], other_above[0] * below[0]):
            return 1
        return 0.5 if _equal(above[0], other_above[0]) else 0


def _base(value: Decimal, unit: str) -> tuple[Decimal, str]:
    """An amount in base units, with its dimension."""
    if not unit or _COUNTED.fullmatch(unit):
        return value, unit
    try:
        return canonical(value, unit) or (value, f"={unit}")
    except (UcumError, ValueError):
        return value, f"={unit}"


def _equal(one: Decimal, other: Decimal) -> bool:
    return abs(one - other) <= Decimal("1e-20") * max(abs(one), abs(other))


@dataclass
class Criteria:
    """What a drug is to have; `issues` says what of a request could not be understood. Where something was passed over,
    no match is certain.
    """

    codes: list[Code] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    strengths: list[Amount] = field(default_factory=list)
    forms: list[str] = field(default_factory=list)
    form_codes: list[Code] = field(default_factory=list)
    ingredients: list[Code] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)
    passed_over: bool = False

    def not_understood(self, what: str, why: str, *, one_of_many: bool = False) -> None:
        """Tell that something was passed over; of many that stand for each other, others were not."""
        self.passed_over |= not one_of_many
        issue = Issue("warning", "not-supported", f"{what} {why}; it was passed over", (what,))
        if issue not in self.issues:
            self.issues.append(issue)

    def add_name(self, said: Any, what: str) -> None:
        """A name, where it is one."""
        name = said.strip() if isinstance(said, str) else ""
        if not name:
            self.not_understood(what, "is empty")
        elif len(name) > _LONGEST_NAME or len(words(name)) > _MOST_WORDS:
            self.not_understood(what, f"is longer than {_LONGEST_NAME} characters or {_MOST_WORDS} words")
        elif not words(name):
            self.not_understood(what, "has no letter or digit")
        else:
            self._add(self.names, name, what)

    def add_code(self, system: Any, code: Any, what: str, to: list[Code] | None = None) -> None:
        """A code, where it is one."""
        if not isinstance(code, str) or not code.strip() or not isinstance(system, str | None):
            self.not_understood(what, "has no code")
        elif len(code) > _LONGEST_NAME or len(system or "") > _LONGEST_NAME:
            self.not_understood(what, f"is longer than {_LONGEST_NAME} characters")
        else:
            self._add(self.codes if to is None else to, Code(system or None, code.strip()), what)

    def add_strength(self, said: Any, what: str) -> None:
        """A strength in words: `0.5 mg`, `100 mg/5 mL`."""
        above, slash, below = said.partition("/") if isinstance(said, str) else ("", "", "")
        number, per = _AMOUNT.fullmatch(above), _AMOUNT.fullmatch(f"1 {below}" if below[:1].isalpha() else below)
        unit = _unit(number[2]) if number else None
        per_unit = _unit(per[2] or "1") if slash and per else "1"
        if number is None or unit is None or per_unit is None or (slash and per is None):
            self.not_understood(what, "is no amount with a unit, such as 0.5 mg or 100 mg/5 mL")
        else:
            per_value = Decimal(per[1]) if slash and per else Decimal(1)
            self._strength(Decimal(number[1]), unit, per_value, _thing(per_unit), what)

    def _strength(self, value: Decimal, unit: str, per: Decimal, per_unit: str, what: str) -> None:
        if value <= 0 or per <= 0:
            self.not_understood(what, "is no amount")
        else:
            amount = Amount(value, unit, per, per_unit)
            if all(amount.alike(other) < 1 for other in self.strengths):
                self._add(self.strengths, amount, what)

    def add_form(self, said: Any, what: str) -> None:
        """A dose form in words."""
        form = said.strip() if isinstance(said, str) else ""
        if not words(form) or len(form) > _LONGEST_NAME or len(words(form)) > _MOST_WORDS:
            self.not_understood(what, "is no name of a form")
        else:
            self._add(self.forms, form, what)

    def _add(self, to: list[Any], value: Any, what: str) -> None:
        if value in to:
            return
        if len(to) >= MOST:
            # A drug has all strengths, and one of the codes, names and forms.
            self.not_understood(what, f"is one of more than {MOST}", one_of_many=to is not self.strengths)
        else:
            to.append(value)

    # -- a resource

    def add_resource(self, resource: JSON, version: FhirVersion) -> None:
        """What a Medication or MedicationKnowledge says of itself. Raises NotSupported for another type."""
        kind = resource.get("resourceType")
        if kind not in _READ_OF:
            text = f"a {kind} is no drug" if isinstance(kind, str) else "it has no resourceType"
            raise NotSupported(
                f"resource: {text}", expression="resource", remedy="Give a Medication or MedicationKnowledge."
            )
        if version is not FhirVersion.R5:
            resource = convert(resource, version, FhirVersion.R5).resource
        for code in _objects(resource.get("identifier")):
            self.add_code(code.get("system"), code.get("value"), f"{kind}.identifier")
        self._concept(resource.get("code"), f"{kind}.code")
        for name in _listed(resource.get("name")):
            self.add_name(name, f"{kind}.name")
        about = resource if kind == "Medication" else resource.get("definitional")
        if isinstance(about, dict):
            self._definition(about, kind)
        unread = sorted(name for name in resource if name.lstrip("_") not in _READ_OF[str(kind)])
        if unread:
            text = f"{', '.join(unread)} of the {kind}: drugs are not compared by this"
            self.issues.append(Issue("information", "informational", text, (str(kind),)))

    def _concept(self, concept: Any, what: str) -> None:
        for one in _objects(concept.get("coding") if isinstance(concept, dict) else None):
            if "code" in one:
                self.add_code(one.get("system"), one.get("code"), f"{what}.coding")
            if "display" in one:
                self.add_name(one["display"], f"{what}.coding.display")
        if isinstance(concept, dict) and "text" in concept:
            self.add_name(concept["text"], f"{what}.text")

    def _definition(self, about: JSON, kind: str) -> None:
        form = about.get("doseForm")
        if isinstance(form, dict):
            for one in _objects(form.get("coding")):
                if "code" in one:
                    self.add_code(one.get("system"), one.get("code"), f"{kind}.doseForm.coding", self.form_codes)
            if "text" in form:
                self.add_form(form["text"], f"{kind}.doseForm.text")
        for part in _objects(about.get("ingredient")):
            concept = part.get("item", {}).get("concept") if isinstance(part.get("item"), dict) else None
            coded = list(_objects(concept.get("coding") if isinstance(concept, dict) else None))
            for one in coded:
                self.add_code(one.get("system"), one.get("code"), f"{kind}.ingredient", self.ingredients)
            amount = amount_of(part)
            if amount is not None:
                self._strength(*amount, f"{kind}.ingredient.strength")
            if not coded:
                self.not_understood(f"{kind}.ingredient", "has no coded item")


def strengths(resource: JSON) -> list[Amount]:
    """The strengths of a MedicationKnowledge of R5, as far as they are amounts."""
    about = resource.get("definitional")
    parts = _objects(about.get("ingredient") if isinstance(about, dict) else None)
    return [one for part in parts if (one := amount_of(part)) is not None]


def amount_of(ingredient: JSON) -> Amount | None:
    """The strength of an ingredient of R5."""
    ratio, quantity = ingredient.get("strengthRatio"), ingredient.get("strengthQuantity")
    above = _quantity(ratio.get("numerator") if isinstance(ratio, dict) else quantity)
    below = _quantity(ratio.get("denominator")) if isinstance(ratio, dict) else None
    if above is None:
        return None
    return Amount(*above) if below is None else Amount(*above, below[0], _thing(below[1]))


def _quantity(quantity: Any) -> tuple[Decimal, str] | None:
    if not isinstance(quantity, dict) or "value" not in quantity or "comparator" in quantity:
        return None
    try:
        value = Decimal(str(quantity["value"]))
    except InvalidOperation:
        return None
    unit = quantity.get("code") if quantity.get("system") == UCUM else quantity.get("unit")
    return (value, unit if isinstance(unit, str) else "") if value.is_finite() else None


def _thing(unit: str) -> str:
    """A unit, and nothing for one of what is dispensed: `{tbl}`, `1`."""
    return "" if _COUNTED.fullmatch(unit) else unit


def _unit(said: str | None) -> str | None:
    """The UCUM code of a unit, written as UCUM or as RxNorm writes it."""
    if said is None:
        return None
    return said if is_valid(said) else units.rxnorm(said)


def _listed(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list) else ()


def _objects(value: Any) -> Iterator[JSON]:
    return (one for one in _listed(value) if isinstance(one, dict))


def token(said: str, what: str) -> Code:
    """`system|code`, or a code alone. Raises BadRequest where there is no code."""
    system, bar, code = said.rpartition("|")
    if not code.strip():
        raise BadRequest(f"{what}={said}: write system|code, or a code", expression=what, code="value")
    return Code(system if bar and system else None, code.strip())
