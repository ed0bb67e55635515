"""An extension that a package defines stands where its definition allows it, and nowhere else."""

from typing import Any

import pytest

from apothecary.errors import Issue
from apothecary.fhir.releases import FhirVersion
from apothecary.validation import Options, validate
from apothecary.validation.options import Coverage
from apothecary.validation.profiles import Profiles
from tests.validation.profiles.features import definition

URL = "http://example.org/fhir/StructureDefinition/mark"
OUTER = "http://example.org/fhir/StructureDefinition/outer"
OWNED = "http://hl7.org/fhir/StructureDefinition/artifact-isOwned"
MARK = {"url": URL, "valueBoolean": True}
MARKED = {"extension": [MARK]}
CHECKED = frozenset({"extension-context"})
RELEASES = tuple(FhirVersion)


def found(
    resource: dict[str, Any],
    version: FhirVersion = FhirVersion.R4,
    coverage: Coverage | None = None,
    **more: Any,
) -> list[tuple[str | None, str]]:
    elements = [{"id": "Extension.url", "path": "Extension.url", "fixedUri": URL}]
    profiles = Profiles([definition("mark", "Extension", elements, **more)])
    issues: list[Issue] = validate(resource, version, options=Options(profiles=profiles, coverage=coverage))
    return [(issue.rule, issue.expression[0]) for issue in issues if issue.rule in CHECKED]


def context(kind: str, *expressions: str) -> list[dict[str, str]]:
    return [{"type": kind, "expression": one} for one in expressions]


def patient(**more: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", **more}


NAMED = patient(name=[{"text": "A"}, {"text": "B", **MARKED}])
ACTIVE = patient(active=True, _active=MARKED)
GIVEN = patient(name=[{"given": ["A", "B"], "_given": [None, MARKED]}])
WITHIN = patient(extension=[{"url": OUTER, "valueBoolean": True, "_valueBoolean": MARKED}])
PART = patient(extension=[{"url": OUTER, "extension": [{"url": "part", "valueString": "x", **MARKED}]}])
PLACES = [
    # An element by its path, also one of the types above, in a resource and in what it contains.
    ("element", "Patient", patient(**MARKED), patient(name=[MARKED])),
    ("element", "DomainResource", patient(**MARKED), patient(name=[MARKED])),
    ("element", "DomainResource.text", patient(text={"status": "empty", **MARKED}), patient(**MARKED)),
    ("element", "Resource.meta", patient(meta=MARKED), patient(text={"status": "empty", **MARKED})),
    ("element", "Patient.active", ACTIVE, NAMED),
    (
        "element",
        "Resource.meta",
        patient(contained=[{"resourceType": "Organization", "id": "a", "meta": MARKED}]),
        patient(contained=[{"resourceType": "Organization", "id": "a", **MARKED}]),
    ),
    # Another extension, on itself, on its value or on its part.
    ("extension", OUTER, patient(extension=[{"url": OUTER, "extension": [MARK]}]), patient(**MARKED)),
    ("extension", OUTER, WITHIN, patient(active=True, _active=MARKED)),
    ("extension", f"{OUTER}#part", PART, patient(extension=[{"url": OUTER, "extension": [MARK]}])),
    # What a FHIRPath finds: elements, and primitives by what stands beside them.
    ("fhirpath", "Patient.name.where(text = 'B')", NAMED, patient(name=[{"text": "A", **MARKED}, {"text": "B"}])),
    ("fhirpath", "Patient.active", ACTIVE, patient(active=True, _gender=MARKED, gender="male")),
    ("fhirpath", "name.given[1]", GIVEN, patient(name=[{"given": ["A", "B"], "_given": [MARKED, None]}])),
    ("fhirpath", "Organization", {"resourceType": "Organization", "name": "A", **MARKED}, patient(**MARKED)),
]


@pytest.mark.parametrize("version", RELEASES)
@pytest.mark.parametrize(("kind", "expression", "good", "bad"), PLACES)
def test_an_extension_stands_where_its_contexts_allow(
    kind: str, expression: str, good: dict[str, Any], bad: dict[str, Any], version: FhirVersion
) -> None:
    allowed = context(kind, expression)
    assert found(good, version, context=allowed) == []
    [(rule, place)] = found(bad, version, context=allowed)
    assert rule == "extension-context"
    assert place.endswith(".url")


@pytest.mark.parametrize("version", RELEASES)
@pytest.mark.parametrize("name", ["Element", "Base"])
@pytest.mark.parametrize("resource", [patient(**MARKED), NAMED, ACTIVE, WITHIN, PART])
def test_what_may_stand_on_everything_stands_on_anything(
    resource: dict[str, Any], name: str, version: FhirVersion
) -> None:
    assert found(resource, version, context=context("element", name)) == []


def test_a_condition_in_place_of_a_context_refuses_nothing() -> None:
    assert found(NAMED, context=context("fhirpath", "active.exists() and active")) == []
    artifact = {"type": "composed-of", "extension": [{"url": OWNED, "valueBoolean": True}], "display": "x"}
    library = {"resourceType": "Library", "status": "draft", "type": {"text": "x"}, "relatedArtifact": [artifact]}
    assert found(library) == []


def test_one_context_of_several_is_enough() -> None:
    allowed = [*context("element", "Patient.name"), *context("fhirpath", "Patient.active")]
    assert found(ACTIVE, context=allowed) == []
    assert found(NAMED, context=allowed) == []
    assert len(found(patient(**MARKED), context=allowed)) == 1


@pytest.mark.parametrize("expression", ["Patient.name.where(", "Patient.name.nonsense()"])
def test_a_context_that_cannot_be_evaluated_is_told_and_refuses_nothing(expression: str) -> None:
    coverage = Coverage()
    assert found(NAMED, coverage=coverage, context=context("fhirpath", expression)) == []
    assert any(expression in one for one in coverage.unchecked)


INVARIANTS = [
    ("Patient.active.not()", patient(active=False, **MARKED), patient(active=True, **MARKED)),
    ("text = 'B'", NAMED, patient(name=[{"text": "A", **MARKED}])),
    ("$this = 'male'", patient(gender="male", _gender=MARKED), patient(gender="female", _gender=MARKED)),
    ("$this = 'B'", GIVEN, patient(name=[{"given": ["A", "B"], "_given": [MARKED, None]}])),
    ("%extension.value = true", patient(**MARKED), patient(extension=[{"url": URL, "valueBoolean": False}])),
    ("%resource.birthDate.exists()", patient(birthDate="2020", name=[MARKED]), patient(name=[MARKED])),
]


@pytest.mark.parametrize("version", RELEASES)
@pytest.mark.parametrize(("expression", "good", "bad"), INVARIANTS)
def test_what_a_definition_asks_of_the_element_that_has_the_extension_is_asked(
    expression: str, good: dict[str, Any], bad: dict[str, Any], version: FhirVersion
) -> None:
    more = {"context": context("element", "Element"), "contextInvariant": [expression]}
    assert found(good, version, **more) == []
    assert [rule for rule, _ in found(bad, version, **more)] == ["extension-context"]


def test_a_context_is_looked_for_once_in_a_resource(monkeypatch: pytest.MonkeyPatch) -> None:
    from apothecary.validation import contexts

    asked: list[str] = []
    evaluated = contexts._evaluated

    def counted(expression: str, run: Any) -> frozenset[int] | None:
        asked.append(expression)
        return evaluated(expression, run)

    monkeypatch.setattr(contexts, "_evaluated", counted)
    names = [{"text": str(number), **MARKED} for number in range(50)]
    assert found(patient(name=names), context=context("fhirpath", "Patient.name")) == []
    assert asked == ["Patient.name"]
