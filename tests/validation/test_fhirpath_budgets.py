"""No expression costs more than its budget, whatever it says and whatever it meets."""

import tracemalloc
from decimal import Decimal
from typing import Any

import pytest

from apothecary.fhir.budgets import Budget
from apothecary.fhir.caches import Weighed
from apothecary.fhir.definitions import definitions
from apothecary.fhir.json import parse
from apothecary.fhir.releases import FhirVersion
from apothecary.validation import Options, validate
from apothecary.validation.fhirpath import Environment, FhirPathError, compile_expression, evaluate, item_of, parser
from apothecary.validation.profiles import Profiles

TABLES = definitions(FhirVersion.R5)
UCUM = "http://unitsofmeasure.org"
PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "birthDate": "1970-05-01",
    "identifier": [{"system": "s", "value": str(number)} for number in range(200)],
    "name": [{"family": "x" * 100_000, "given": ["a"] * 100}],
    "extension": [
        {"url": "a", "valueDecimal": parse("1E999999999")},
        {"url": "b", "valueQuantity": {"value": parse("1E400000000"), "system": UCUM, "code": "mg"}},
        {"url": "c", "valueQuantity": {"value": parse("1E-400000000"), "system": UCUM, "code": "kg"}},
        {"url": "d", "valueInteger": 10**3000},
    ],
}

ENDLESS = (
    "%resource.identifier" + ".select(%resource.identifier)" * 6,
    "identifier" + ".select($this.combine($this))" * 40,
    "'a'.repeat($this & 'a')",
    "1.repeat($this + 1)",
    "identifier.aggregate($total.combine($total).combine($this), identifier)",
    "identifier.aggregate($total & $total & 'aaaaaaaa', 'a')",
    "name.family.replace('', name.family)",
    "'a'" + ".replace('a', 'aaaaaaaaaa')" * 30,
    "'a'" + ".replaceMatches('a', 'aaaaaaaaaa')" * 30,
    "identifier.select(%resource.name.family).join(%resource.name.family)",
    "name.family.toChars().select(%resource.name.family.toChars())",
    "name.family.toChars().select(%resource.name.family.indexOf('xxxxxxxxxy'))",
    "name.family" + ".escape('html').encode('hex')" * 30,
    "name.family" + ".encode('base64')" * 100,
    "identifier.select(%resource.identifier).sort(value, -value, system)",
    "descendants().select(%resource.descendants()).count()",
    "identifier.select(%resource.identifier.select(%resource.identifier)).distinct()",
    "identifier.select(%resource.identifier) ~ identifier.select(%resource.identifier.sort(-value))",
    "defineVariable('v0', identifier)."
    + "".join(f"defineVariable('v{n}', %v{n - 1}.combine(%v{n - 1}))." for n in range(1, 60))
    + "count()",
    "name.family.matches('[ -~]*x.{1,1000}y')",
    "identifier.select(%resource.identifier.select(%resource.name.family.matches('(x|x)*y')))",
    "repeat(%resource.descendants().select(%resource.descendants()))",
)


def run(expression: str, steps: int = 30_000) -> list[Any]:
    focus = item_of(TABLES, PATIENT, "Resource")
    environment = Environment(TABLES, focus, focus, focus, lambda reference: None, budget=Budget(steps))
    return evaluate(compile_expression(expression), environment)


@pytest.mark.parametrize("expression", ENDLESS, ids=lambda text: text[:40])
def test_what_grows_without_end_is_stopped_before_it_fills_the_memory(expression: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(FhirPathError, match="too many steps"):
            run(expression)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("(" * 5_000 + "1" + ")" * 5_000, "nested deeper"),
        ("-" * 5_000 + "1", "nested deeper"),
        ("iif(true, " * 100 + "1" + ", 2)" * 100, "nested deeper"),
        ("1" + "+1" * 9_000, "nested too deep"),
        ("name" + ".name" * 3_000, "nested too deep"),
        ("1" + "+1" * 500_000, "characters"),
        ("x" * 5_000, "characters"),
        ("1" * 5_000, "digits"),
        ("/* " * 5_000, "not understood"),
        ("'" + "\\'" * 5_000, "not understood"),
        ("%resource" * 2, "expected the end"),
    ],
    ids=lambda text: text[:20],
)
def test_what_is_too_large_is_refused(expression: str, reason: str) -> None:
    with pytest.raises(FhirPathError, match=reason) as caught:
        run(expression)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "expression",
    [
        *(
            f"extension[0].value{end}"
            for end in (
                ".truncate()", ".round(2)", " + 1", " * 10", " / 3", " div 3", " mod 3", ".toString()", ".toInteger()",
                ".lowBoundary()", ".sqrt()", ".ceiling()", ".toQuantity().toString()", ".power(2)", ".toBoolean()",
            )
        ),
        *(f"extension[3].value{end}" for end in (" * 2", " / 2", " + 1", ".power(200)", ".sqrt()", ".ln()")),
        "2.power(1000000000)", "10.power(10).power(10).power(10).power(10)", "9" + "*99999" * 500, "1000000000.exp()",
        "0.ln()", "10.log(1)", "9223372036854775807 + 1", "extension[1].value.lowBoundary()",
        "extension[1].value.toString()", "'a'.substring(%resource.extension[3].value)",
        "1.5.lowBoundary(%resource.extension[3].value)", "identifier[%resource.extension[3].value]",
    ],
)  # fmt: skip
def test_numbers_past_all_measure_give_nothing(expression: str) -> None:
    assert run(expression) == []


@pytest.mark.parametrize(
    "expression",
    [
        "birthDate + 1000000000000 years", "birthDate - 100000 years", "birthDate + 99999999999999999999 days",
        "birthDate + 1000000000000000000000000000000 milliseconds", "@9999-12-31 + 1 day", "@0001-01-01 - 1 day",
        "birthDate + extension[1].value",
        "extension[1].value * extension[1].value", "extension[1].value + 1 'kg'", "extension[2].value ~ 1 'mg'",
        "extension[1].value.toQuantity('g')",
    ],
)  # fmt: skip
def test_what_lies_outside_of_the_calendar_or_of_all_numbers_is_an_error(expression: str) -> None:
    with pytest.raises(FhirPathError):
        run(expression)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("extension[0].value > 1", [True]),
        ("extension[0].value ~ 1", [False]),
        ("extension[1].value > 1 'kg'", [True]),
        ("extension[2].value = 1 'mg'", [False]),
        ("extension[0].value in (1 | 2)", [False]),
        ("extension.value.distinct().count()", [4]),
        ("identifier.skip(%resource.extension[3].value).count()", [0]),
        ("'\\ud800'.matches('a')", [False]),
        ("'\\ud800'.encode('base64')", []),
        ("@T10:00 + 99999999999999999999999999999 hours = @T10:00", [False]),
        ("name.family.matches('(x+x+)+y')", [False]),
        ("identifier.where(value.toInteger() mod 2 = 0).select(value).count()", [100]),
    ],
)
def test_what_can_be_told_is_told_all_the_same(expression: str, expected: list[Any]) -> None:
    assert run(expression) == expected


def profile(*expressions: str, path: str = "Patient") -> Profiles:
    constraints = [
        {"key": f"x-{number}", "severity": "error", "human": f"rule {number}", "expression": expression}
        for number, expression in enumerate(expressions)
    ]
    return Profiles(
        [
            {
                "resourceType": "StructureDefinition",
                "url": "http://example.org/p",
                "name": "P",
                "type": "Patient",
                "derivation": "constraint",
                "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Patient",
                "fhirVersion": "5.0.0",
                "differential": {"element": [{"id": path, "path": path, "constraint": constraints}]},
            }
        ],
        ["http://example.org/p"],
    )


def told(resource: dict[str, Any], options: Options) -> list[tuple[str | None, str]]:
    issues = validate(resource, FhirVersion.R5, options=options)
    return [(one.rule, one.diagnostics) for one in issues if str(one.rule).startswith("profile")]


@pytest.mark.parametrize(
    "expression",
    [
        *ENDLESS[:4],
        "(" * 5_000,
        "noSuchFunction()",
        "substring()",
        "birthDate.lowBoundary(1, 2, 3)",
        "%noSuchVariable",
        "name.given.length()",
        "name.matches('(a)\\\\1')",
        "name.family.matches('(?=a)b')",
        "1 +",
        "",
        "multipleBirthInteger.exists()",
        "conformsTo('http://example.org/nowhere')",
        "'\ud800",
    ],
    ids=lambda text: ascii(text)[:40],
)
def test_a_constraint_that_cannot_be_evaluated_is_told_and_the_others_are_checked(expression: str) -> None:
    resource = {"resourceType": "Patient", "name": [{"family": "Long", "given": ["A", "B"]}], "identifier": [{}] * 60}
    found = told(resource, Options(profiles=profile(expression, "name.family = 'Short'"), max_steps_each=50_000))
    assert ("profile-constraint", "Patient breaks x-1 of P: rule 1.") in found
    assert [text for rule, text in found if rule == "profile-not-checked" and "x-0 is not evaluated" in text]


def test_one_budget_holds_for_all_constraints_of_a_validation_together() -> None:
    resource = {"resourceType": "Patient", "identifier": [{"value": str(number)} for number in range(50)]}
    costly = "%resource.identifier.select(%resource.identifier).count() > 0"
    options = Options(profiles=profile(costly, path="Patient.identifier"), max_steps=50_000)
    assert ["x-0 is not evaluated" in text for _, text in told(resource, options)] == [True]
    assert told(resource, Options(profiles=profile(costly, path="Patient.identifier"), max_steps=2_000_000)) == []


def test_many_small_constraints_never_use_up_the_budget() -> None:
    resource = {"resourceType": "Patient", "identifier": [{"value": str(number)} for number in range(2_000)]}
    small = "value.exists() and value.length() < 10 and value.matches('^[0-9]+$')"
    options = Options(profiles=profile(small, path="Patient.identifier"), max_steps=1_000)
    assert told(resource, options) == []


@pytest.mark.parametrize("length", [10, 600])
def test_expressions_that_come_in_great_numbers_do_not_stay_in_memory(
    length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(start: int) -> int:
        for index in range(start, start + 300):
            compile_expression(f"'x{index}{'y' * length}'")
        return tracemalloc.get_traced_memory()[0]

    monkeypatch.setattr(parser, "_KNOWN", Weighed(200_000))
    tracemalloc.start()
    try:
        full = max(fill(start) for start in range(0, 1_200, 300))
        assert max(fill(start) for start in range(1_200, 2_400, 300)) < full * 5 / 4
    finally:
        tracemalloc.stop()


def test_a_step_is_paid_for_each_item_that_is_looked_at() -> None:
    assert run("identifier.where(value = '7').count()", 10_000) == [1]
    with pytest.raises(FhirPathError, match="too many steps"):
        run("identifier.where(value = '7').count()", 200)
    assert run("(1.1 | 2.2).aggregate($this + $total, 0)") == [Decimal("3.3")]


SYSTEM = {
    "resourceType": "CodeSystem", "url": "http://example.org/s", "status": "active", "content": "complete",
    "concept": [{"code": "up", "concept": [{"code": "down"}]}, {"code": "beside"}],
}  # fmt: skip


@pytest.mark.parametrize(
    ("code", "rule"),
    [("down", None), ("up", None), ("beside", "profile-constraint"), ("nowhere", "profile-not-checked")],
)
def test_a_constraint_asks_the_code_systems_at_hand_what_they_subsume(code: str, rule: str | None) -> None:
    above = "%`ext-x`.select(%resource.contact.relationship.first().coding)"
    resource = {
        "resourceType": "Patient",
        "contact": [{"relationship": [{"coding": [{"system": SYSTEM["url"], "code": "up"}]}]}],
        "maritalStatus": {"coding": [{"system": SYSTEM["url"], "code": code}]},
    }
    definition = profile(f"maritalStatus.coding.subsumedBy({above})").find(
        "StructureDefinition", "http://example.org/p"
    )
    assert definition is not None
    profiles = Profiles([definition, SYSTEM], ["http://example.org/p"])
    assert [found for found, _ in told(resource, Options(profiles=profiles))] == ([] if rule is None else [rule])


MANY = 4_000
ELEMENTS = [{"id": f"e{n}", "path": f"Patient.e{n}"} for n in range(MANY)]
LARGE: dict[str, dict[str, Any]] = {
    "StructureDefinition": {
        "kind": "resource",
        "type": "Patient",
        "snapshot": {"element": [{"path": "Patient"}, *ELEMENTS]},
        "differential": {"element": [{"path": "Patient"}, *ELEMENTS]},
    },
    "PlanDefinition": {
        "goal": [{"id": f"g{n}"} for n in range(MANY)],
        "action": [
            {"id": f"a{n}", "goalId": [f"g{n}"], "relatedAction": [{"targetId": f"a{n - 1 if n else 1}"}]}
            for n in range(MANY)
        ],
    },
    "ImplementationGuide": {
        "definition": {
            "grouping": [{"id": f"g{n}"} for n in range(MANY)],
            "resource": [{"groupingId": f"g{n}"} for n in range(MANY)],
        },
    },
}


@pytest.mark.parametrize(
    ("structure", "key", "inside"),
    [
        ("StructureDefinition.snapshot", "sdf-8", ("snapshot",)),
        ("StructureDefinition.differential", "sdf-8a", ("differential",)),
        ("PlanDefinition", "pld-3", ()),
        ("PlanDefinition", "pld-4", ()),
        ("ImplementationGuide.definition", "ig-1", ("definition",)),
    ],
)
def test_an_invariant_that_looks_at_all_elements_for_each_of_them_costs_no_square(
    structure: str, key: str, inside: tuple[str, ...]
) -> None:
    name = structure.partition(".")[0]
    invariant = next(one for one in TABLES.structure(structure).invariants if one.key == key)
    resource = {"resourceType": name, **LARGE[name]}
    value: Any = resource
    for step in inside:
        value = value[step]
    root = item_of(TABLES, resource, name)
    focus = item_of(TABLES, value, structure)
    env = Environment(TABLES, root, root, focus, lambda reference: None, budget=Budget(100 * MANY))
    assert evaluate(compile_expression(invariant.expression), env) == [True]


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        # The right side is another one for each item.
        ("Patient.name.where(family in given).family", ["b"]),
        ("Patient.name.where(given contains family).family", ["b"]),
        ("Patient.name.select(%resource.name.skip($index).first().family)", ["a", "b", "c"]),
        ("Patient.name.select(%resource.name[$index].family)", ["a", "b", "c"]),
        ("Patient.name.select(%resource.name.where(family = %context.name.last().family).family)", ["c"] * 3),
        ("Patient.name.select(%resource.name.first().given.first().startsWith(family))", [False, True, False]),
        ("Patient.name.select(%resource.name.where(family = $this.given).family)", []),
        ("Patient.name.aggregate($total | %resource.name.first().family.select($total), 'z')", ["z"]),
        ("Patient.name.select(defineVariable('v', family).select(%resource.name.where(family = %v).family))", [*"abc"]),
    ],
)
def test_what_depends_on_the_item_is_found_for_each_item(expression: str, found: list[Any]) -> None:
    patient = {
        "resourceType": "Patient",
        "name": [{"family": "a", "given": ["b"]}, {"family": "b", "given": ["x", "b"]}, {"family": "c"}],
    }
    root = item_of(TABLES, patient, "Patient")
    env = Environment(TABLES, root, root, root, lambda reference: None)
    assert [getattr(one, "value", one) for one in evaluate(compile_expression(expression), env)] == found
