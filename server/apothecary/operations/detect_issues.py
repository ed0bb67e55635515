"""`MedicationKnowledge/$detect-issues`: what the content states against a list of drugs, each with its source.

https://hl7.org/fhir/R5/detectedissue.html and https://hl7.org/fhir/R5/operations.html. A list is told what
statements say; what was not understood and not looked at is told with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from apothecary.errors import BadRequest
from apothecary.fhir import ucum
from apothecary.fhir.json import JSON
from apothecary.fhir.references import localise, parse_reference
from apothecary.fhir.releases import FhirVersion
from apothecary.fhir.temporal import now
from apothecary.operations.arguments import check
from apothecary.operations.base import Argument, Call, Operation
from apothecary.operations.detect_issues_detect import detect
from apothecary.operations.terms import flag, text
from apothecary.safety.asked import SEXES, Asked, AskedConcept, AskedDrug, Code, Remark
from apothecary.safety.concepts import Concept
from apothecary.safety.reading import Reader, codes_of, written
from apothecary.safety.resources import bundle
from apothecary.search.own import bases
from apothecary.versions import convert

__all__ = ["ARGUMENTS", "OPERATION", "detect"]

_CODED = "system|code"
ARGUMENTS = (
    Argument("medication", "string", f"A drug as {_CODED} or as a reference: MedicationKnowledge/id.", repeats=True),
    Argument("medicationConcept", "CodeableConcept", "A drug as a concept; its codes all mean the same.", repeats=True),
    Argument("condition", "string", f"A condition as {_CODED}.", repeats=True),
    Argument("conditionConcept", "CodeableConcept", "A condition as a concept.", repeats=True),
    Argument(
        "allergy", "string", f"A drug, substance or class that somebody is allergic to, as {_CODED}.", repeats=True
    ),
    Argument("allergyConcept", "CodeableConcept", "The same as a concept.", repeats=True),
    Argument("age", "string", "The age in years, or with a unit: 8 mo. A Quantity is taken as well."),
    Argument("sex", "code", "male or female, as far as statements hold for one sex."),
    Argument("pregnant", "boolean", "Whether there is a pregnancy."),
    Argument("lactating", "boolean", "Whether somebody is breast-fed."),
    Argument(
        "resource",
        "Resource",
        "A MedicationRequest, MedicationStatement, Medication, AllergyIntolerance, Condition, Patient, or a Bundle of "
        "them, in the shape of R4, R4B or R5.",
        repeats=True,
    ),
)
_CONCEPTS = ("medication", "condition", "allergy")
_AGE = re.compile(r"\s*(\d{1,4}(?:\.\d{1,6})?)\s*([A-Za-z]{1,10})?\s*", re.ASCII)
_UNITS = {
    "year": "a",
    "years": "a",
    "y": "a",
    "month": "mo",
    "months": "mo",
    "week": "wk",
    "weeks": "wk",
    "day": "d",
    "days": "d",
}


def run(call: Call) -> JSON:
    """The Bundle. Raises BadRequest for a list without a drug, and TooCostly for one that is too long."""
    call = _plain(call)
    check(call, ARGUMENTS)
    asked = _asked(call)
    if not asked.drugs and not (asked.not_looked_at or asked.not_understood):
        raise BadRequest(
            "there is no drug to look for",
            expression="medication",
            code="required",
            remedy="Write medication=system|code, or POST a MedicationRequest or a Bundle.",
        )
    answer = bundle(detect(call.service, call.version, call.base, asked))
    version = call.wanted or call.version
    return answer if version is FhirVersion.R5 else convert(answer, FhirVersion.R5, version).resource


def _plain(call: Call) -> Call:
    """The call with each value under the name of its type, and a body that is a resource as the parameter it stands
    for.
    """
    if isinstance(call.posted, dict) and call.posted.get("resourceType") not in (None, "Parameters"):
        listed = [{"name": "resource", "resource": call.posted}]
        return replace(call, posted={"resourceType": "Parameters", "parameter": listed})
    listed = [_renamed(one) for one in call.listed]
    return replace(call, posted={**call.posted, "parameter": listed}) if listed else call


def _renamed(one: JSON) -> JSON:
    name = one.get("name")
    if name in _CONCEPTS:
        if "valueCoding" in one:
            return {"name": f"{name}Concept", "valueCodeableConcept": {"coding": [one["valueCoding"]]}}
        if "valueCodeableConcept" in one:
            return {**one, "name": f"{name}Concept"}
        if "resource" in one:
            return {**one, "name": "resource"}
        if name == "medication" and isinstance(one.get("valueReference"), dict):
            return {"name": name, "valueString": str(one["valueReference"].get("reference", ""))}
    if name == "age":
        for key in ("valueQuantity", "valueAge", "valueDuration"):
            if isinstance(quantity := one.get(key), dict):
                unit = quantity.get("code") or quantity.get("unit") or ""
                return {"name": name, "valueString": f"{quantity.get('value')} {unit}".strip()}
        for key in ("valueDecimal", "valueInteger", "valuePositiveInt", "valueUnsignedInt"):
            if key in one and not isinstance(one[key], dict | list):
                return {"name": name, "valueString": str(one[key])}
    return one


def _asked(call: Call) -> Asked:
    asked = Asked()
    own = bases(call.service.settings, call.base)

    def local(literal: str) -> str:
        reference = parse_reference(localise(literal, own))
        return f"{reference.type}/{reference.id}" if reference.relative else ""

    today = datetime.fromtimestamp(now() / 1_000_000, UTC).date()
    reader = Reader(asked, local, today, call.service.settings.detect_issues_limit)
    for place, one in enumerate(call.values("resource")):
        reader.add(one, f"resource[{place}]")
    for place, said in enumerate(call.values("medication")):
        asked.drugs.append(_drug(str(said), f"medication[{place}]", local))
    for place, named in enumerate(_concepts(call, "medication")):
        asked.drugs.append(AskedDrug(f"medicationConcept[{place}]", codes_of(named), name=named.text))
    for name, into in (("condition", asked.conditions), ("allergy", asked.allergies)):
        for place, said in enumerate(call.values(name)):
            into.append(AskedConcept(f"{name}[{place}]", (_token(str(said), name),)))
        for place, named in enumerate(_concepts(call, name)):
            into.append(AskedConcept(f"{name}Concept[{place}]", codes_of(named), named.text))
    _patient(call, asked)
    return asked


def _concepts(call: Call, name: str) -> Iterator[Concept]:
    for one in call.values(f"{name}Concept"):
        found = written(one)
        if not found:
            raise BadRequest(f"{name}: the concept has neither a code with its system nor words", expression=name)
        yield found


def _drug(said: str, source: str, local: Any) -> AskedDrug:
    if "|" not in said and (reference := local(said)):
        return AskedDrug(source, reference=reference)
    return AskedDrug(source, (_token(said, "medication"),))


def _token(said: str, name: str) -> Code:
    """Raises BadRequest for a code without its system: which drug it means would be a guess."""
    system, bar, code = said.partition("|")
    if not bar or not system.strip() or not code.strip() or len(said) > 1000:
        raise BadRequest(
            f"{name}={said[:100]}: a code is written with its system",
            expression=name,
            code="value",
            remedy=f"Write {_CODED}.",
        )
    return Code(system.strip(), code.strip())


def _patient(call: Call, asked: Asked) -> None:
    if (age := text(call, "age")) is not None:
        asked.age = _age(age)
    if (sex := text(call, "sex")) is not None:
        if sex in SEXES:
            asked.sex = SEXES[sex]
        elif sex in ("other", "unknown"):
            asked.not_looked_at.append(Remark(f"what holds for one sex was not looked at: {sex}", "sex"))
        else:
            raise BadRequest(f"sex={sex[:40]}: write male, female, other or unknown", expression="sex", code="value")
    for name in ("pregnant", "lactating"):
        if call.parameter(name) is not None:
            setattr(asked, name, flag(call, name))


def _age(said: str) -> Decimal:
    parts = _AGE.fullmatch(said)
    try:
        if parts is None:
            raise ValueError(said)
        unit = parts[2] or "a"
        base, year = ucum.canonical(Decimal(parts[1]), _UNITS.get(unit, unit)), ucum.canonical(Decimal(1), "a")
        if base is None or year is None or base[1] != year[1]:
            raise ValueError(said)
    except (ucum.UcumError, ValueError, InvalidOperation):
        raise BadRequest(
            f"age={said[:40]}: write years, or a number with a unit of time such as 8 mo",
            expression="age",
            code="value",
        ) from None
    return base[0] / year[0]


OPERATION = Operation(
    "detect-issues",
    "https://example.org/fhir/OperationDefinition/MedicationKnowledge-detect-issues",
    frozenset({"type"}),
    False,
    run,
    types=frozenset({"MedicationKnowledge"}),
    arguments=ARGUMENTS,
)
