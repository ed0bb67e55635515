"""`MedicationKnowledge/$match`: the drugs that have the codes, names, strengths and forms that are given.

https://hl7.org/fhir/R5/patient-operation-match.html is the operation for patients that this one is like. Whatever is
looked for is looked for by searches; what they find is graded, and the answer says why.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from apothecary.errors import BadRequest, Issue
from apothecary.fhir.json import JSON, FhirDecimal, parse
from apothecary.interactions.forms import body_in
from apothecary.operations.arguments import check
from apothecary.operations.base import Argument, Call, Operation
from apothecary.operations.match_criteria import Criteria, token
from apothecary.operations.match_search import TYPE, Match, Matching
from apothecary.operations.terms import flag, number
from apothecary.reports.operation_outcome import operation_outcome

GRADE = "http://hl7.org/fhir/StructureDefinition/match-grade"
# Matches that are told where nobody says how many.
USUAL = 10

ARGUMENTS = (
    Argument("name", "string", "A brand or generic name of the drug, or a part of one.", repeats=True),
    Argument("code", "string", "A code of the drug, of an ingredient or of a class: system|code.", repeats=True),
    Argument("coding", "Coding", "The same as a Coding.", repeats=True),
    Argument("strength", "string", "The strength of an ingredient, such as 0.5 mg or 100 mg/5 mL.", repeats=True),
    Argument("form", "string", "The dose form, in words or as system|code.", repeats=True),
    Argument("resource", "Resource", "A Medication or MedicationKnowledge that says all of this of itself."),
    Argument("count", "integer", f"The most matches of the answer, {USUAL} by default."),
    Argument("onlyCertainMatches", "boolean", "Whether only matches that meet all criteria exactly are told."),
)


def run(call: Call) -> JSON:
    """The searchset, the best matches first. Raises BadRequest where neither a name nor a code is given."""
    call = _plain(call)
    check(call, ARGUMENTS)
    criteria = _criteria(call)
    count, certain = number(call, "count"), flag(call, "onlyCertainMatches")
    most = call.service.settings.page_size_limit
    if not (criteria.codes or criteria.names or criteria.ingredients):
        raise BadRequest(
            "there is no name and no code to look for",
            issues=[
                Issue("error", "required", "there is no name and no code to look for", ("name", "code")),
                *criteria.issues,
            ],
        )
    found = Matching(call, criteria).graded()
    if certain:
        found = [one for one in found if one.grade == "certain"]
    shown = found[: min(USUAL if count is None else count, most)]
    issues = [*criteria.issues, *(one.issue(place) for place, one in enumerate(shown))]
    if not found:
        issues.append(Issue("warning", "not-found", f"no {TYPE} matches{' exactly' if certain else ''}"))
    return _bundle(call, shown, len(found), issues)


def _plain(call: Call) -> Call:
    """The call with a Coding or CodeableConcept under the name of what it is, and a body that is the drug itself as the
    parameter that it stands for.
    """
    if isinstance(call.posted, dict) and call.posted.get("resourceType") in (TYPE, "Medication"):
        listed = [{"name": "resource", "resource": call.posted}]
        return replace(call, posted={"resourceType": "Parameters", "parameter": listed})
    listed = []
    for one in call.listed:
        concept = one.get("valueCodeableConcept")
        if one.get("name") == "code" and "valueCoding" in one:
            one = {**one, "name": "coding"}
        elif one.get("name") == "code" and isinstance(concept, dict) and isinstance(concept.get("coding"), list):
            listed += [{"name": "coding", "valueCoding": each} for each in concept["coding"]]
            continue
        listed.append(one)
    return replace(call, posted={**call.posted, "parameter": listed}) if listed else call


def _criteria(call: Call) -> Criteria:
    found = Criteria()
    for said in call.values("name"):
        found.add_name(said, "name")
    for said in call.values("code"):
        found.add_code(*token(str(said), "code"), "code")
    for coding in call.values("coding"):
        found.add_code(coding.get("system"), coding.get("code"), "coding")
    for said in call.values("strength"):
        found.add_strength(said, "strength")
    for said in call.values("form"):
        if "|" in str(said):
            found.add_code(*token(str(said), "form"), "form", found.form_codes)
        else:
            found.add_form(said, "form")
    if (resource := call.parameter("resource")) is not None:
        found.add_resource(resource, call.version)
    return found


def _bundle(call: Call, shown: Sequence[Match], total: int, issues: Sequence[Issue]) -> JSON:
    """https://hl7.org/fhir/R5/bundle.html#searchset"""
    version = call.wanted or call.version
    entries: list[JSON] = [
        {
            "fullUrl": f"{call.base}/{TYPE}/{one.hit.id}",
            "resource": parse(body_in(one.hit, version)),
            "search": {
                "extension": [{"url": GRADE, "valueCode": one.grade}],
                "mode": "match",
                "score": FhirDecimal(str(one.score)),
            },
        }
        for one in shown
    ]
    if issues:
        entries.append({"resource": operation_outcome(issues), "search": {"mode": "outcome"}})
    return {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": total,
        "link": [{"relation": "self", "url": f"{call.base}/{TYPE}/$match"}],
        "entry": entries,
    }


OPERATION = Operation(
    "match",
    "https://example.org/fhir/OperationDefinition/MedicationKnowledge-match",
    frozenset({"type"}),
    False,
    run,
    types=frozenset({TYPE}),
    arguments=ARGUMENTS,
)
