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


def evaluate(expression: str, resource: dict[str, Any] = PATIENT, **hooks: Any) -> list[Any]:
    focus = item_of(TABLES, resource, "Resource")
    environment = Environment(TABLES, focus, focus, focus, lambda reference: None, **hooks)
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
    # What stands beside HL7's own tests in test_fhirpath_suite.py: FHIR's additions and this engine's limits.
    ("birthDate.value", ["1970-05"]),
    ("name.family.value.length()", [8]),
    ("birthDate.getValue() = '1970-05'", [True]),
    ("conformsTo('http://hl7.org/fhir/StructureDefinition/DomainResource')", [True]),
    ("conformsTo('http://hl7.org/fhir/StructureDefinition/Medication')", [False]),
    ("checkModifiers('http://example.org/x').id", ["p"]),
    ("multipleBirth.type().name", ["integer"]),
    ("name.where($index = 1).use", ["usual"]),
    ("name.select(given.select($index))", [0, 1, 0]),
    ("name.given.sort()", ["James", "Jim", "Peter"]),
    ("name.given.sort(-$this)", ["Peter", "Jim", "James"]),
    ("birthDate = @1970-05", [True]),
    ("birthDate = @1970-05-01", []),
    ("birthDate < @1970-05-01", []),
    ("birthDate < @1970-06-01", [True]),
    ("@2024-01-01T10:00:00Z = @2024-01-01T10:00:00.000Z", [True]),
    ("@2024-01-01T10:00:00Z < @2024-01-01T10:00:00.434Z", [True]),
    ("@2024-02-29 + 1 year = @2025-02-28", [True]),
    ("@2024-01-31 + 1 month = @2024-02-29", [True]),
    ("@2024-03 - 1 month = @2024-02", [True]),
    ("5 mod 3", [2]),
    ("(5 | 3).aggregate($this + $total, 0) / 2", [4]),
    ("1 'mg' < 1 'g'", [True]),
    ("1 'mg' < 1 'mL'", []),
    ("1000 'mg' = 1 'g'", [True]),
    ("2 'kg' - 500 'g' = 1500 'g'", [True]),
    ("{} is string", []),
    ("true.toDecimal()", [1]),
    ("1.587.lowBoundary(2).toString()", ["1.58"]),
    ("'\\u0061'", ["a"]),
    ("'a' // a comment", ["a"]),
    ("name.given.subsetOf('Peter' | 'James' | 'Jim')", [True]),
    ("(1234567890 mod 10).toString() & '|' & (7 div 2)", ["0|3"]),
    ("'1234567893'.toChars().select(toInteger()).aggregate($this + $total, 0)", [48]),
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
    ".value",
    "getValue",
    "conformsTo",
    "checkModifiers",
    "type()",
    "sort(",
    "@",
    "'m",
    "'g",
    "'kg",
    "is string",
    "\\u",
    "$index",
    "div",
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


@pytest.mark.parametrize(("expression", "unresolved"), [
    ("birthDate < @1970-05-01", True),
    ("birthDate = @1970-05-01", True),
    ("@2024-01-01T10:00:00Z > @2024-01-01T10:00:00", True),
    ("@2024-01-01T10:00:00Z > @2023-01-01T10:00:00", False),
    ("deceased.ofType(dateTime) < @1970-05-01", False),
    ("birthDate < @1970-06-01", False),
    ("'x'.subsumes('y')", True),
    ("'x'.subsumes('x')", False),
    ("managingOrganization.resolve().exists()", False),
    ("'x'.memberOf('http://example.org/nowhere')", True),
])  # fmt: skip
def test_what_is_left_open_is_told_apart_from_what_is_not_there(expression: str, unresolved: bool) -> None:
    focus = item_of(TABLES, PATIENT, "Resource")
    environment = Environment(TABLES, focus, focus, focus, lambda reference: None)
    compile_expression(expression)([focus], environment)
    assert environment.unresolved is unresolved


def test_whoever_holds_terminology_and_profiles_is_asked() -> None:
    asked: list[Any] = []

    def subsumes(system: str | None, upper: str, lower: str) -> bool:
        asked.append((system, upper, lower))
        return upper < lower

    def conforms(node: Node, url: str) -> bool:
        asked.append((node.type, url))
        return True

    assert evaluate("'a'.subsumes('b')", subsumes=subsumes) == [True]
    assert evaluate("'a'.subsumedBy('b')", subsumes=subsumes) == [False]
    assert evaluate("name.first().conformsTo('http://example.org/p')", conforms=conforms) == [True]
    assert asked == [(None, "a", "b"), (None, "b", "a"), ("HumanName", "http://example.org/p")]


@pytest.mark.parametrize("expression", [
    "where()", "exists(1, 2)", "count(1)", "name.select()", "iif(true)", "'a'.substring()", "'a'.replace('b')", "is()",
    "birthDate.lowBoundary(1, 2)", "trace()", "defineVariable()", "memberOf()", "now(1)",
])  # fmt: skip
def test_a_wrong_number_of_arguments_is_refused_when_it_is_compiled(expression: str) -> None:
    with pytest.raises(FhirPathError):
        compile_expression(expression)
