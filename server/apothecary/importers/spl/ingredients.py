"""The ingredients of a product, with what their strengths are based on.

https://hl7.org/fhir/R5/medicationknowledge-definitions.html#MedicationKnowledge.definitional.ingredient
"""

from __future__ import annotations

from typing import NamedTuple

from apothecary.content.xml_tree import Node
from apothecary.fhir.json import JSON
from apothecary.importers.spl.tree import Reader, child, children, value_of, words

_ROLES = "http://terminology.hl7.org/CodeSystem/v3-RoleClass"
# https://terminology.hl7.org/CodeSystem-v3-RoleClass.html, below ingredient.
_ACTIVE = {
    "ACTI": "active ingredient",
    "ACTIB": "active ingredient - basis of strength",
    "ACTIM": "active ingredient - moiety is basis of strength",
    "ACTIR": "active ingredient - reference substance is basis of strength",
}
_INACTIVE = {
    "IACT": "inactive ingredient",
    "COLR": "color additive",
    "FLVR": "flavor additive",
    "PRSV": "preservative",
    "STBL": "stabilizer",
}
_OTHER = {"INGR": "ingredient", "ADTV": "additive", "ADJV": "adjuvant", "BASE": "base", "CNTM": "contaminant"}
# Labels of before 2009 name these elements by what they hold.
ELEMENTS = {"ingredient": "", "activeIngredient": "ACTI", "inactiveIngredient": "IACT"}
_SUBSTANCES = ("ingredientSubstance", "activeIngredientSubstance", "inactiveIngredientSubstance")
_KNOWN = frozenset({"quantity", *_SUBSTANCES})
_SUBSTANCE = frozenset({"code", "name", "activeMoiety", "asEquivalentSubstance"})


class Ingredient(NamedTuple):
    """An ingredient: what it is, its role, whether it is active, if that is known, and its strength."""

    item: JSON
    role: JSON
    active: bool | None
    strength: JSON

    def of_knowledge(self) -> JSON:
        """As it stands in a MedicationKnowledge."""
        return {"item": {"concept": self.item}, **({"type": self.role} if self.role else {}), **self.strength}

    def of_medication(self) -> JSON:
        """As it stands in a Medication."""
        active = {} if self.active is None else {"isActive": self.active}
        return {"item": {"concept": self.item}, **active, **self.strength}


def ingredients(product: Node, reader: Reader) -> list[Ingredient]:
    """Those of a product, in their order."""
    return [found for one in children(product, *ELEMENTS) if (found := _ingredient(one, reader)) is not None]


def _ingredient(node: Node, reader: Reader) -> Ingredient | None:
    reader.leftover(node, _KNOWN)
    substance = next(iter(children(node, *_SUBSTANCES)), None)
    if substance is None:
        reader.skipped(node, "an ingredient without a substance")
        return None
    reader.leftover(substance, _SUBSTANCE)
    name = words(child(substance, "name"))
    moieties = [inner for outer in children(substance, "activeMoiety") for inner in children(outer, "activeMoiety")]
    codings: list[JSON] = []
    for part in (substance, *moieties):
        coding = reader.coding(child(part, "code"))
        named = words(child(part, "name"))
        if coding is not None and coding not in codings:
            codings.append({**coding, "display": named} if named else coding)
    # The substance comes first. Its moieties stand beside it, so that it is found by either, as RxNorm's precise
    # ingredients are.
    item: JSON = {"coding": codings} if codings else {}
    if name:
        item["text"] = name
    if not item:
        reader.skipped(node, "an ingredient without code and name")
        return None
    code = value_of(node, "classCode").upper() or ELEMENTS[node.name]
    display = {**_ACTIVE, **_INACTIVE, **_OTHER}.get(code)
    role: JSON = {"coding": [{"system": _ROLES, "code": code, "display": display}]} if display else {}
    if not display and code:
        reader.approximated(node, f"the class {code[:40]!r} of an ingredient is not known, and stands as text")
        role = {"text": code[:200]}
    if basis := _basis(code, substance, moieties):
        role["text"] = f"Strength is that of {basis}"
    active = True if code in _ACTIVE else False if code in _INACTIVE else None
    return Ingredient(item, role, active, strength(child(node, "quantity"), reader))


def _basis(code: str, substance: Node, moieties: list[Node]) -> str:
    """What the strength is that of, where it is not the substance itself."""
    if code == "ACTIM":
        return " and ".join(filter(None, (_said(one) for one in moieties)))
    if code == "ACTIR":
        equivalents = children(substance, "asEquivalentSubstance")
        return " and ".join(filter(None, (_said(child(one, "definingSubstance")) for one in equivalents)))
    return ""


def _said(node: Node | None) -> str:
    name, code = words(child(node, "name")), value_of(child(node, "code"), "code")
    return f"{name} ({code})" if name and code else name or code


def strength(quantity: Node | None, reader: Reader) -> JSON:
    """`strength[x]`: a Ratio, or a Quantity where nothing is said of what it is in, or the words of a range."""
    numerator = child(quantity, "numerator")
    if numerator is None:
        return {}
    low, high = child(numerator, "low"), child(numerator, "high")
    if low is not None or high is not None:
        said = " to ".join(f"{value_of(one, 'value')} {value_of(one, 'unit')}".strip() for one in (low, high) if one)
        below = child(quantity, "denominator")
        per = f"{value_of(below, 'value')} {value_of(below, 'unit')}".strip()
        said = f"{said} in {per}" if per and said else said
        reader.approximated(numerator, f"a strength that is a range stands as text: {said}"[:300])
        return {"strengthCodeableConcept": {"text": said}} if said else {}
    above = reader.quantity(numerator, "the strength")
    below = child(quantity, "denominator")
    if above is None:
        return {}
    denominator = reader.quantity(below, "what the strength is in")
    if denominator is None:
        return {"strengthQuantity": above}
    if denominator["value"] == 0:
        reader.skipped(numerator, "a strength in nothing: its denominator is 0")
        return {}
    return {"strengthRatio": {"numerator": above, "denominator": denominator}}
