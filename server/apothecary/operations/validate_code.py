"""$validate-code: whether a code is in a code system or value set.

https://hl7.org/fhir/R5/codesystem-operation-validate-code.html and
https://hl7.org/fhir/R5/valueset-operation-validate-code.html
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from apothecary.errors import BadRequest, Issue
from apothecary.fhir.json import JSON
from apothecary.fhir.references import split_canonical
from apothecary.operations.arguments import alone, check
from apothecary.operations.base import Argument, Call, Operation
from apothecary.operations.terms import COMMON, Terms, coding, flag, item, parameters, text
from apothecary.operations.terms import concept as codings_of
from apothecary.reports.operation_outcome import operation_outcome
from apothecary.terminology.remarks import Place, none_in
from apothecary.terminology.validation import Coding, Judgement, Rules, Validator, message

OF_CODE_SYSTEM = (
    Argument("url", "uri", "The value set or code system, by its URL."),
    Argument("code", "code", "The code."),
    Argument("system", "uri", "The code system of the code."),
    Argument("systemVersion", "string", "The version of that code system."),
    Argument("version", "string", "The version of the code system that is asked about."),
    Argument("display", "string", "The display that is checked with the code."),
    Argument("coding", "Coding", "The code with its system."),
    Argument("codeableConcept", "CodeableConcept", "Several codes, of which one must be right."),
    Argument("inferSystem", "boolean", "Whether the system may be found by the code."),
    Argument("abstract", "boolean", "Whether an abstract code will do; it does by default."),
    Argument("activeOnly", "boolean", "Whether only codes in use will do."),
    Argument("lenient-display-validation", "boolean", "Whether a wrong display is a warning."),
    Argument("valueset-membership-only", "boolean", "Whether nothing but membership is looked at."),
    Argument("mode", "string", "lenient-display-validation means the same as that parameter."),
    *COMMON,
)
ARGUMENTS = (
    *OF_CODE_SYSTEM,
    Argument("valueSet", "ValueSet", "The value set itself."),
    Argument("valueSetVersion", "string", "The version of the value set."),
)

_LENIENT = "lenient-display-validation"

Given = Sequence[tuple[Coding, Place]]


def run(call: Call) -> JSON:
    """`result` true or false with what there is to say (`issues`), and the code as it was found. Raises BadRequest
    without a code, and what finding the value set raises.
    """
    of_set = call.resource_type == "ValueSet"
    given = codings(call)
    check(call, ARGUMENTS if of_set else OF_CODE_SYSTEM)
    alone(call, "code", "coding", "codeableConcept")
    for name in ("system", "systemVersion", "display", *(("version",) if of_set else ())):
        # A coding says them itself.
        alone(call, "coding", name)
        alone(call, "codeableConcept", name)
    alone(call, "systemVersion", "version")
    terms = Terms(call)
    validator = Validator(
        terms.resolver,
        Rules(
            languages=terms.languages,
            lenient_display_validation=flag(call, "lenient-display-validation") or _lenient(call),
            infer_system=flag(call, "inferSystem"),
            abstract=flag(call, "abstract", default=True),
            active_only=flag(call, "activeOnly"),
            membership_only=flag(call, "valueset-membership-only"),
        ),
    )
    return _in_set(terms, validator, given) if of_set else _in_system(terms, validator, given)


def _lenient(call: Call) -> bool:
    mode = text(call, "mode")
    if mode not in (None, _LENIENT):
        raise BadRequest(f"mode={mode}: {_LENIENT} is the only one", expression="mode", code="value")
    return mode is not None


def codings(call: Call) -> Given:
    """The codes to look at, with where they stand. Raises BadRequest where there is none."""
    concept = call.parameter("codeableConcept")
    if isinstance(concept, dict):
        listed = codings_of(concept, "codeableConcept")
        found = [(one, Place(f"CodeableConcept.coding[{place}]")) for place, one in enumerate(listed)]
    elif (given := call.parameter("coding")) is not None:
        found = [(coding(given, "coding"), Place("Coding"))]
    else:
        code = text(call, "code")
        version = text(call, "systemVersion") or text(call, "version")
        one = Coding(text(call, "system"), code or "", text(call, "display"), version)
        found = [(one, Place())] if code else []
    if not found:
        raise BadRequest(
            "there is no code to validate",
            remedy="Give code with system (or inferSystem), coding, or codeableConcept.",
        )
    return found


def _in_set(terms: Terms, validator: Validator, given: Given) -> JSON:
    call = terms.call
    members, _ = terms.members()
    by_code = call.parameter("coding") is None and call.parameter("codeableConcept") is None
    if by_code and given[0][0].system is None and not flag(call, "inferSystem"):
        raise BadRequest(
            "the code has no system",
            expression="system",
            code="required",
            remedy="Write system=..., or inferSystem=true.",
        )
    judged = [validator.in_value_set(members, one, place) for one, place in given]
    if not isinstance(call.parameter("codeableConcept"), dict):
        return _answer(judged[0], judged[0].issues)
    good = next((one for one in judged if one.result), next((one for one in judged if one.inside), None))
    issues: list[Issue] = []
    for one in judged:
        issues += [_of_one(issue) for issue in one.issues if good is not one or issue.kind != "not-in-vs"]
    if good is None and not any(issue.message == _NO_SUCH_SET for issue in issues):
        issues.insert(0, none_in(members))
    return _answer(
        good or Judgement(given[0][0], unknown=_all(judged, "unknown"), cause=_all(judged, "cause")),
        _unique(issues),
        concept=call.parameter("codeableConcept"),
        found=good is not None,
    )


_NO_SUCH_SET = "Unable_to_resolve_value_Set_"


def _all(judged: Sequence[Judgement], name: str) -> list[str]:
    return list(dict.fromkeys(one for each in judged for one in getattr(each, name)))


def _of_one(issue: Issue) -> Issue:
    """That one of several codings is not in the value set is no error yet."""
    if issue.kind != "not-in-vs":
        return issue
    return replace(issue, severity="information", kind="this-code-not-in-vs")


def _unique(issues: Sequence[Issue]) -> list[Issue]:
    return list(dict.fromkeys(issues))


def _in_system(terms: Terms, validator: Validator, given: Given) -> JSON:
    call = terms.call
    concept = call.parameter("codeableConcept")
    judge = _judge(terms, validator)
    judged = [judge(one, place) for one, place in given]
    if not isinstance(concept, dict):
        return _answer(judged[0], judged[0].issues)
    good = next((one for one in judged if one.result), next((one for one in judged if one.inside), None))
    # What is wrong with the others is no error where one is right.
    issues = good.issues if good is not None and good.result else [issue for one in judged for issue in one.issues]
    return _answer(good or judged[0], _unique(issues), concept=concept, found=good is not None)


def _judge(terms: Terms, validator: Validator) -> Callable[[Coding, Place], Judgement]:
    """How codes are judged: by the instance, by the code system whose url is given, or each by its own."""
    call = terms.call
    if call.resource_id is not None:
        own = terms.instance_system()
        return lambda one, place: validator.in_code_system(one, place, own)
    url = text(call, "url")
    if url is None:
        return validator.in_code_system
    name, named = split_canonical(url)
    version = text(call, "version") or named

    def judge(one: Coding, place: Place) -> Judgement:
        if one.system not in (None, name):
            return validator.in_code_system(one, place, terms.code_system(name, version))
        return validator.in_code_system(replace(one, system=name, version=one.version or version), place)

    return judge


def _answer(one: Judgement, issues: Sequence[Issue], *, concept: Any = None, found: bool = True) -> JSON:
    coded = one.coding
    entry, system = one.entry, one.system
    result = found and one.inside and not any(issue.severity in ("error", "fatal") for issue in issues)
    answer = [("result", "Boolean", result), ("message", "String", message(issues))]
    if found:
        status = system.status(entry.concept) if system is not None and entry is not None and entry.concept else None
        answer += [
            ("code", "Code", coded.code),
            ("system", "Uri", coded.system),
            ("version", "String", system.version if system is not None else None),
            ("display", "String", one.display or None),
            ("normalized-code", "Code", entry.code if entry is not None and entry.code != coded.code else None),
            ("inactive", "Boolean", True if one.inactive else None),
            ("status", "Code", status if status in ("retired", "deprecated", "withdrawn") else None),
        ]
    answer.append(("codeableConcept", "CodeableConcept", concept))
    body = parameters(*answer)
    for canonical in one.cause:
        body["parameter"].append(item("x-caused-by-unknown-system", "Canonical", canonical))
    for canonical in one.unknown:
        body["parameter"].append(item("x-unknown-system", "Canonical", canonical))
    if issues:
        body["parameter"].append(item("issues", "resource", operation_outcome(issues)))
    return body


OPERATION = Operation(
    "validate-code",
    "http://hl7.org/fhir/OperationDefinition/ValueSet-validate-code",
    frozenset({"type", "instance"}),
    False,
    run,
    types=frozenset({"CodeSystem", "ValueSet"}),
    arguments=ARGUMENTS,
)
