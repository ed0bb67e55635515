"""What the resources of a request say: drugs, conditions, allergies and who takes them, in R4, R4B and R5 shapes.

https://hl7.org/fhir/R5/medicationrequest.html, https://hl7.org/fhir/R5/medicationstatement.html,
https://hl7.org/fhir/R5/allergyintolerance.html, https://hl7.org/fhir/R5/condition.html and their R4 pages.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from typing import Any

from apothecary.fhir.json import JSON
from apothecary.safety.asked import SEXES, Asked, AskedConcept, AskedDrug, Code, Remark
from apothecary.safety.concepts import Concept, concept, either, items, pointed, texted

ORDERS = frozenset({"MedicationRequest", "MedicationStatement", "MedicationDispense", "MedicationAdministration"})
DRUGS = frozenset({"Medication", "MedicationKnowledge"})
# Statuses of what is not taken: https://hl7.org/fhir/R5/valueset-medicationrequest-status.html and the others.
_OVER = frozenset(
    {"stopped", "cancelled", "completed", "ended", "entered-in-error", "not-taken", "not-done", "declined", "inactive"}
)
# What was handed out or given completely is with the patient, and is looked at.
_GIVEN = frozenset({"MedicationDispense", "MedicationAdministration"})
# https://hl7.org/fhir/R5/valueset-medication-statement-adherence.html, where R4 has a status.
_NOT_TAKEN = frozenset({"not-taking", "stopped", "stopped-as-directed", "stopped-not-as-directed"})
# Where they say which order is carried out: https://hl7.org/fhir/R5/medicationdispense.html and the others.
_CARRIED_OUT = {
    "MedicationDispense": ("authorizingPrescription",),
    "MedicationAdministration": ("request",),
    "MedicationStatement": ("basedOn", "derivedFrom"),
}
_LONGEST = 500
_NOT_SO = frozenset({"refuted", "entered-in-error"})
_PAST = frozenset({"inactive", "resolved", "remission"})
# Resources in resources, such as bundles in bundles.
_DEPTH = 4


def _no_keys(_system: str, _code: str) -> list[tuple[str, str]]:
    return []


def codes_of(named: Concept) -> tuple[Code, ...]:
    """The codes of a concept."""
    return tuple(one.coding for one in named.codes)


def written(value: Any) -> Concept:
    """A CodeableConcept as a request has it."""
    return concept(value, _no_keys)


@dataclass
class Reader:
    """Adds what resources say to `asked`. `local` gives `Type/id` of a reference to this server, empty for others;
    `today` counts ages.
    """

    asked: Asked
    local: Callable[[str], str]
    today: date
    most: int
    """Drugs, conditions and allergies that are read at most; one more shows that there are too many."""
    patients: list[str] = field(default_factory=list)
    """The ids of those whom the request is about."""
    _beside: dict[str, JSON] = field(default_factory=dict)
    """What a request brings along, by the addresses that it has there."""

    def add(self, resource: JSON, source: str, depth: int = 0) -> None:
        """Read a resource. What is of another type is told."""
        kind = _type(resource)
        self._whose(resource, source)
        if kind == "Bundle":
            self._bundle(resource, source, depth)
        elif kind in ORDERS:
            self._order(resource, source)
        elif kind in DRUGS:
            self._drug(resource, source)
        elif kind == "AllergyIntolerance":
            self._concept(resource, source, "allergy", self.asked.allergies)
        elif kind == "Condition":
            self._concept(resource, source, "condition", self.asked.conditions)
        elif kind == "Patient":
            self._patient(resource, source)
        elif kind == "List":
            self._listed(resource, source)
        else:
            shown = kind or "resource without a type"
            self.asked.not_looked_at.append(Remark(f"{source}: a {shown[:100]} is not looked at", source))

    def _whose(self, resource: JSON, source: str) -> None:
        """Tell once where a request is about several patients: what is said of one is not said of another."""
        if _type(resource) == "Patient":
            whose = texted(resource.get("id"))
        else:
            of = next((one for name in ("subject", "patient") if isinstance(one := resource.get(name), dict)), {})
            whose = texted(of.get("reference")).partition("/_history/")[0]
            whose = "" if whose.startswith("#") or "Group/" in whose else whose.rpartition("/")[2]
        if not whose or whose in self.patients or len(self.patients) > 1:
            return
        self.patients.append(whose)
        if len(self.patients) > 1:
            shown = " and ".join(one[:100] for one in self.patients)
            text = f"{source}: the request names several patients ({shown}): all was looked at as if it were of one"
            self.asked.not_looked_at.append(Remark(text, source))

    def _bundle(self, resource: JSON, source: str, depth: int) -> None:
        if depth >= _DEPTH:
            self.asked.not_understood.append(Remark(f"{source}: bundles in bundles, too deep to be read", source))
            return
        entries = items(resource.get("entry"))
        held = [(one, one["resource"]) for one in entries if isinstance(one.get("resource"), dict)]
        for entry, each in held:
            for name in (entry.get("fullUrl"), _address(each)):
                if isinstance(name, str) and name:
                    self._beside[name] = each
        # A Medication that an order refers to is that order's drug, and none of its own.
        meant = {id(found) for _, each in held for found in self._referred(each)}
        for place, (_, each) in enumerate(held):
            if id(each) not in meant:
                self.add(each, f"{source}.entry[{place}]", depth + 1)
            if len(self.asked.drugs) > self.most:
                return

    def _referred(self, order: JSON) -> Iterator[JSON]:
        if _type(order) in ORDERS:
            literal = either(order, "medication", _no_keys).reference
            if literal in self._beside:
                yield self._beside[literal]
        elif _type(order) in DRUGS:
            # Nor is what another one contains.
            definitional = order.get("definitional")
            for part in items((definitional if isinstance(definitional, dict) else order).get("ingredient")):
                literal = either(part, "item", _no_keys).reference
                if literal in self._beside and self._beside[literal] is not order:
                    yield self._beside[literal]

    # -- drugs

    def _order(self, order: JSON, source: str) -> None:
        kind, status = _type(order), texted(order.get("status"))
        named = either(order, "medication", _no_keys)
        over = status in _OVER and not (status == "completed" and kind in _GIVEN)
        adherence = order.get("adherence")
        left = sorted(_NOT_TAKEN & _codes(adherence.get("code"))) if isinstance(adherence, dict) else []
        if over or left or order.get("doNotPerform") is True:
            why = f"is {[status, *left][-1]}" if over or left else "says that it is not to be given"
            text = f"{source}: the {kind} of {named.label or 'a medication'} {why}: it was not looked at"
            self.asked.not_looked_at.append(Remark(text, source))
            return
        routes = tuple(self._routes(order))
        reasons = tuple(dict.fromkeys(self._reasons(order, source)))
        drug = self._named(order, named, source, routes, reasons)
        if drug is None:
            self.asked.not_understood.append(Remark(f"{source}: the {kind} names no medication", source))
            return
        follows = tuple(dict.fromkeys(self._follows(order)))
        if follows:
            text = f"{source}: the {kind} carries out {', '.join(follows)}: the two are not told as the same drug twice"
            self.asked.not_looked_at.append(Remark(text[:_LONGEST], source))
        self.asked.drugs.append(replace(drug, own=_address(order), follows=follows))

    def _follows(self, order: JSON) -> Iterator[str]:
        """The orders in the request that it says it carries out."""
        for name in _CARRIED_OUT.get(_type(order), ()):
            for one in (*items(order.get(name)), order.get(name)):
                found = self._beside.get(pointed(one).reference, {})
                if found.get("resourceType") == "MedicationRequest" and found is not order and _address(found):
                    yield _address(found)

    def _named(
        self, order: JSON, named: Concept, source: str, routes: tuple[Code, ...], reasons: tuple[Code, ...]
    ) -> AskedDrug | None:
        contained = {f"#{one.get('id')}": one for one in items(order.get("contained"))}
        brought = contained.get(named.reference) or self._beside.get(named.reference)
        if brought is not None:
            label = named.text or _label(brought)
            beside = self._around(brought, contained)
            return AskedDrug(source, codes_of(named), "", brought, label, routes, reasons, beside)
        local = self.local(named.reference) if named.reference else ""
        if named.reference and not local:
            text = f"{source}: {named.reference[:200]} is neither in the request nor on this server"
            self.asked.not_understood.append(Remark(text, source))
        if not (named.codes or named.text or local):
            return None
        return AskedDrug(source, codes_of(named), local, None, named.text, routes, reasons)

    def _drug(self, resource: JSON, source: str) -> None:
        if texted(resource.get("status")) == "entered-in-error":
            self.asked.not_looked_at.append(Remark(f"{source}: it was entered in error", source))
            return
        drug = AskedDrug(source, resource=resource, name=_label(resource), beside=self._around(resource, {}))
        self.asked.drugs.append(drug)

    def _around(self, resource: JSON, contained: Mapping[str, JSON]) -> Mapping[str, JSON]:
        """What the references of a resource may point to in the request."""
        own = {f"#{one.get('id')}": one for one in items(resource.get("contained"))}
        return ChainMap({**contained, **own}, self._beside)

    def _routes(self, order: JSON) -> Iterator[Code]:
        doses = [*items(order.get("dosageInstruction")), *items(order.get("dosage"))]
        if isinstance(order.get("dosage"), dict):
            doses.append(order["dosage"])
        for dose in doses:
            route = written(dose.get("route"))
            yield from codes_of(route)
            if route.text and not route.codes:
                yield Code("", "", route.text)

    def _reasons(self, order: JSON, source: str) -> Iterator[Code]:
        around = self._around(order, {})
        for one in (*items(order.get("reasonCode")), *items(order.get("reasonReference")), *items(order.get("reason"))):
            named = either({"reason": one}, "reason", _no_keys)
            yield from codes_of(named)
            literal = named.reference or pointed(one).reference
            if literal and (brought := around.get(literal, {})).get("resourceType") == "Condition":
                yield from codes_of(written(brought.get("code")))
            elif literal and not named.codes:
                text = f"{source}: {literal[:200]}, for which it is given, is no Condition in the request"
                self.asked.not_looked_at.append(Remark(text, source))

    # -- conditions, allergies, and the patient

    def _concept(self, resource: JSON, source: str, what: str, into: list[AskedConcept]) -> None:
        named = written(resource.get("code"))
        codes, text = codes_of(named), named.text
        states = {code for name in ("verificationStatus", "clinicalStatus") for code in _codes(resource.get(name))}
        label = named.label or f"without a code ({source})"
        if states & _NOT_SO or states & _PAST:
            why = sorted(states & (_NOT_SO | _PAST))[0]
            self.asked.not_looked_at.append(Remark(f"the {what} {label} is {why}: it was not looked at", source))
            return
        if what == "allergy":
            for reaction in items(resource.get("reaction")):
                codes += codes_of(written(reaction.get("substance")))
        if not codes and not text:
            self.asked.not_understood.append(Remark(f"{source}: the {what} has neither a code nor words", source))
            return
        into.append(AskedConcept(source, tuple(dict.fromkeys(codes)), text))

    def _patient(self, resource: JSON, source: str) -> None:
        sex = texted(resource.get("gender"))
        if sex in SEXES:
            self.asked.sex = SEXES[sex]
        elif sex:
            self.asked.not_looked_at.append(
                Remark(f"{source}: what holds for one sex was not looked at: {sex}", source)
            )
        born = texted(resource.get("birthDate"))
        if not born:
            return
        age = _age(born, self.today)
        if age is None:
            self.asked.not_understood.append(Remark(f"{source}: birthDate {born[:40]!r} gives no age in years", source))
        else:
            self.asked.age = age

    def _listed(self, resource: JSON, source: str) -> None:
        for place, one in enumerate(items(resource.get("entry"))):
            literal = texted(one.get("item", {}).get("reference")) if isinstance(one.get("item"), dict) else ""
            if literal in self._beside:
                continue
            text = f"{source}.entry[{place}]: {literal[:200] or 'an entry'} is not in the request"
            self.asked.not_understood.append(Remark(text, source))


def _type(resource: JSON) -> str:
    return texted(resource.get("resourceType"))


def _address(resource: JSON) -> str:
    """`Type/id`; empty for what has no id."""
    return f"{resource.get('resourceType')}/{resource['id']}" if resource.get("id") else ""


def _codes(value: Any) -> set[str]:
    if isinstance(value, str):  # a code alone, as STU3 has it
        return {value.strip()}
    return {texted(one.get("code")) for one in items(value.get("coding") if isinstance(value, dict) else None)}


def _label(resource: Mapping[str, Any]) -> str:
    said = written(resource.get("code"))
    displays = [one.coding.display for one in said.codes if one.coding.display]
    return said.text or next(iter(displays), "")


def _age(born: str, today: date) -> Decimal | None:
    """Whole years since a full date of birth, months as parts of them; of a year or a month alone the age is open."""
    try:
        birth = date.fromisoformat(born)
    except ValueError:
        return None
    if birth > today:
        return None
    months = (today.year - birth.year) * 12 + today.month - birth.month - (today.day < birth.day)
    return Decimal(months) / 12
