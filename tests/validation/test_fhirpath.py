"""FHIRPath answers as the specification says, and as an independent engine does."""

from typing import Any

import pytest

from apothecary.fhir.definitions import definitions
from apothecary.fhir.releases import FhirVersion
from apothecary.validation.fhirpath import Environment, FhirPathError, Node, compile_expression, item_of

TABLES = definitions(FhirVersion.R5)
PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "p",
    "active": True,
    "birthDate": "1970-05",
    "_birthDate": {"extension": [{"url": "http://example.org/x", "valueString": "about"}]},
    "name": [
        {"family": "Chalmers", "given": ["Peter", "James"], "use": "official"},
        {"given": ["Jim"], "use": "usual"},
    ],
    "deceasedBoolean": False,
    "contact": [{"period": {"start": "2020", "end": "2021-05"}}],
    "multipleBirthInteger": 2,
}


def evaluate(expression: str, resource: dict[str, Any] = PATIENT) -> list[Any]:
    focus = item_of(TABLES, resource, "Resource")
    environment = Environment(TABLES, focus, focus, focus, lambda reference: None)
    found = compile_expression(expression)([focus], environment)
    return [item.value if isinstance(item, Node) else item for item in found]


TABLE = [
    ("name.given", ["Peter", "James", "Jim"]),
    ("Patient.name.family", ["Chalmers"]),
    ("name.where(use = 'usual').given", ["Jim"]),
    ("name[1].use", ["usual"]),
    ("name.first().given.last()", ["James"]),
    ("name.given.count() = 3", [True]),
    ("name.exists(use = 'old')", [False]),
    ("name.all(given.exists())", [True]),
    ("telecom.empty() and name.exists()", [True]),
    ("deceased is boolean", [True]),
    ("deceased.ofType(boolean)", [False]),
    ("deceased.ofType(dateTime)", []),
    ("multipleBirth > 1", [True]),
    ("multipleBirth + 1", [3]),
    ("multipleBirth * 2 - 1", [3]),
    ("active implies name.exists()", [True]),
    ("active xor name.exists()", [False]),
    ("telecom.system = 'phone'", []),
    ("(telecom.system = 'phone') or true", [True]),
    ("(telecom.system = 'phone') and false", [False]),
    ("active.not()", [False]),
    ("name.use.isDistinct()", [True]),
    ("(name.use | name.use).count()", [2]),
    ("name.use.combine(name.use).count()", [4]),
    ("'usual' in name.use", [True]),
    ("name.use contains 'old'", [False]),
    ("'a' & telecom.value & 'b'", ["ab"]),
    ("id.startsWith('p') and id.endsWith('p') and id.length() = 1", [True]),
    ("'abc'.substring(1, 1)", ["b"]),
    ("'abc'.substring(9)", []),
    ("'abc'.replaceMatches('b', 'x')", ["axc"]),
    ("name.family.matches('^[A-Z][a-z]+$')", [True]),
    ("'12'.toInteger() + 1", [13]),
    ("iif(active, 'yes', 'no')", ["yes"]),
    ("birthDate.hasValue()", [True]),
    ("name.hasValue()", [False]),
    ("birthDate.extension('http://example.org/x').value", ["about"]),
    ("contact.period.start <= contact.period.end", [True]),
    ("contact.period.end < contact.period.start", [False]),
    ("contact.period.start.lowBoundary() <= contact.period.end.highBoundary()", [True]),
    ("birthDate < '2000'", [True]),
    ("name.select(use)", ["official", "usual"]),
    ("descendants().where($this is string).count() > 2", [True]),
    ("children().count()", [8]),
    ("name.tail().use", ["usual"]),
    ("name.given.intersect('Jim' | 'Bob')", ["Jim"]),
    ("%resource.id", ["p"]),
    ("repeat(contact).count()", [1]),
    ("-1 < 0", [True]),
    ("{}.empty()", [True]),
    ("`name`.use.first()", ["official"]),
    ("'it\\'s'.length()", [4]),
    ("name.use.trace('x').first()", ["official"]),
    ("gender.memberOf('http://hl7.org/fhir/ValueSet/administrative-gender')", []),
    ("'male'.memberOf('http://hl7.org/fhir/ValueSet/administrative-gender')", [True]),
    ("'other one'.memberOf('http://hl7.org/fhir/ValueSet/administrative-gender')", [False]),
]


@pytest.mark.parametrize(("expression", "expected"), TABLE)
def test_an_expression_gives_what_the_specification_says(expression: str, expected: list[Any]) -> None:
    assert evaluate(expression) == expected


# What the other engine lacks or does differently: functions of FHIR, dates as text, a partial `in`.
UNSHARED = (
    "hasValue",
    "Boundary",
    "memberOf",
    "extension(",
    "%",
    "birthDate <",
    "period.",
    "children()",
    "descendants()",
    "trace",
    "`",
)


@pytest.mark.parametrize("expression", [row[0] for row in TABLE if not any(part in row[0] for part in UNSHARED)])
def test_an_independent_engine_agrees(expression: str) -> None:
    import fhirpathpy
    from fhirpathpy.models import models

    found = fhirpathpy.evaluate(PATIENT, expression, None, models["r5"])
    assert found == evaluate(expression)


@pytest.mark.parametrize(
    "expression", ["a +", "(a", "a.b(", "noSuchFunction()", "%noSuchVariable", "a ~~ b", "'open", "a b"]
)
def test_what_is_not_understood_is_refused_when_it_is_compiled(expression: str) -> None:
    with pytest.raises(FhirPathError):
        compile_expression(expression)


@pytest.mark.parametrize("expression", ["name.given < 'a'", "name.use and true", "active < 'a'", "name.given.length()"])
def test_what_has_no_answer_is_an_error(expression: str) -> None:
    with pytest.raises(FhirPathError):
        evaluate(expression)
