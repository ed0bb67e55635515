"""The compiled tables say what the specification says, and are read piece by piece."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import fhirpathpy
import pytest

from apothecary.fhir.definitions import Definitions, SearchParameterDefinition, Structure, definitions, property_name
from apothecary.fhir.expressions import branches, leads_to
from apothecary.fhir.releases import FhirVersion
from tests.waiting import PATIENCE

DATA = Path(__file__).parents[2] / "server/apothecary/fhir/data"
R4, R4B, R5 = FhirVersion
VALUE_SET = "http://hl7.org/fhir/ValueSet/"


@pytest.fixture(params=list(FhirVersion), ids=str)
def tables(request: pytest.FixtureRequest) -> Definitions:
    return definitions(request.param)


def all_types(tables: Definitions) -> tuple[str, ...]:
    return tables.resource_types() + tables.complex_types() + tables.primitive_types()


def all_structures(tables: Definitions) -> Iterator[Structure]:
    waiting = list(all_types(tables))
    seen = set(waiting)
    while waiting:
        structure = tables.structure(waiting.pop())
        yield structure
        for item in structure.properties.values():
            if item.structure not in seen:
                seen.add(item.structure)
                waiting.append(item.structure)


def all_parameters(tables: Definitions) -> Iterator[SearchParameterDefinition]:
    for name in tables.resource_types():
        yield from tables.search_parameters(name).values()


# https://hl7.org/fhir/R4/resourcelist.html counts Resource and DomainResource too; these are the concrete ones.
@pytest.mark.parametrize(("version", "resources", "data_types", "primitives"), [
    (R4, 146, 41, 20),
    (R4B, 141, 43, 20),
    (R5, 158, 48, 21),
])  # fmt: skip
def test_every_type_of_a_release_is_there(
    version: FhirVersion, resources: int, data_types: int, primitives: int
) -> None:
    tables = definitions(version)
    counts = (len(tables.resource_types()), len(tables.complex_types()), len(tables.primitive_types()))
    assert counts == (resources, data_types, primitives)
    published = tables.value_set(VALUE_SET + "resource-types")
    if published is not None:
        assert set(tables.resource_types()) <= set().union(*published.codes.values())


@pytest.mark.parametrize(("version", "name", "known"), [
    (R4, "MedicationKnowledge", True),
    (R4, "ClinicalUseDefinition", False),
    (R4B, "ClinicalUseDefinition", True),
    (R5, "ClinicalUseDefinition", True),
    (R5, "DomainResource", False),
    (R5, "Quantity", False),
    (R5, "medication", False),
    (R5, "../r4/types/Medication", False),
])  # fmt: skip
def test_only_concrete_resource_types_of_the_release_are_resource_types(
    version: FhirVersion, name: str, known: bool
) -> None:
    assert definitions(version).is_resource_type(name) is known


@pytest.mark.parametrize("name", ["Nope", "Medication.nope", "Medication.", "", "../r4/types/Medication", "medication"])
def test_an_unknown_structure_is_a_key_error(tables: Definitions, name: str) -> None:
    assert not tables.has_structure(name)
    with pytest.raises(KeyError):
        tables.structure(name)


@pytest.mark.parametrize(("version", "structure", "name", "type_", "leads", "min_", "max_"), [
    (R4, "Medication", "form", "CodeableConcept", "CodeableConcept", 0, 1),
    (R5, "Medication", "doseForm", "CodeableConcept", "CodeableConcept", 0, 1),
    (R5, "Medication", "id", "id", "id", 0, 1),
    (R4, "Medication", "id", "id", "id", 0, 1),
    (R5, "Medication", "contained", "Resource", "Resource", 0, None),
    (R5, "Medication", "ingredient", "BackboneElement", "Medication.ingredient", 0, None),
    (R5, "Medication.ingredient", "item", "CodeableReference", "CodeableReference", 1, 1),
    (R5, "Medication.ingredient", "strengthQuantity", "Quantity", "Quantity", 0, 1),
    (R4, "Medication.ingredient", "itemReference", "Reference", "Reference", 1, 1),
    (R5, "Medication.ingredient", "id", "string", "string", 0, 1),
    (R5, "Bundle", "entry", "BackboneElement", "Bundle.entry", 0, None),
    (R5, "Bundle.entry", "link", "BackboneElement", "Bundle.link", 0, None),
    (R5, "Bundle.entry", "resource", "Resource", "Resource", 0, 1),
    (R5, "Parameters.parameter", "part", "BackboneElement", "Parameters.parameter", 0, None),
    (R5, "MedicationKnowledge.packaging", "cost", "BackboneElement", "MedicationKnowledge.cost", 0, None),
    (R5, "Extension", "extension", "Extension", "Extension", 0, None),
    (R5, "Extension", "url", "uri", "uri", 1, 1),
    (R5, "Extension", "valueCodeableConcept", "CodeableConcept", "CodeableConcept", 0, 1),
    (R5, "Narrative", "div", "xhtml", "xhtml", 1, 1),
    (R5, "Timing", "repeat", "Element", "Timing.repeat", 0, 1),
    (R5, "decimal", "extension", "Extension", "Extension", 0, None),
])  # fmt: skip
def test_a_property_has_the_type_and_cardinality_of_the_specification(
    version: FhirVersion, structure: str, name: str, type_: str, leads: str, min_: int, max_: int | None
) -> None:
    found = definitions(version).structure(structure).properties[name]
    assert (found.type, found.structure, found.element.min, found.element.max) == (type_, leads, min_, max_)
    assert found.element.is_list is (max_ is None)


def test_a_choice_has_one_property_for_each_type_and_no_other() -> None:
    structure = definitions(R5).structure("Medication.ingredient")
    choice = next(element for element in structure.elements if element.is_choice)
    assert choice.name == "strength[x]"
    names = {name for name, item in structure.properties.items() if item.element is choice}
    assert names == {"strengthRatio", "strengthCodeableConcept", "strengthQuantity"}
    assert property_name(choice, "Ratio") == "strengthRatio"


@pytest.mark.parametrize(("version", "structure", "element", "targets"), [
    (R5, "Medication", "marketingAuthorizationHolder", ("Organization",)),
    (R5, "Medication.ingredient", "item", ("Substance", "Medication")),
    (R5, "MedicationKnowledge.storageGuideline", "reference", ()),
    (R5, "Provenance", "target", ("Resource",)),
    (R5, "CodeSystem", "supplements", ("CodeSystem",)),
    (R5, "Reference", "reference", ()),
])  # fmt: skip
def test_a_reference_names_the_types_it_may_point_to(
    version: FhirVersion, structure: str, element: str, targets: tuple[str, ...]
) -> None:
    found = definitions(version).structure(structure).properties[element].element
    assert found.types[0].targets == targets


def test_summary_and_modifier_marks_are_those_of_the_specification() -> None:
    properties = definitions(R5).structure("MedicationKnowledge").properties
    assert {name for name, item in properties.items() if item.element.is_modifier} == {
        "implicitRules", "modifierExtension", "status",
    }  # fmt: skip
    assert properties["name"].element.is_summary is True
    assert properties["preparationInstruction"].element.is_summary is False


def test_every_property_leads_to_a_structure(tables: Definitions) -> None:
    count = sum(1 for _ in all_structures(tables))  # raises KeyError at the first that does not
    assert count > 650


def test_every_reference_target_is_a_type_of_the_release(tables: Definitions) -> None:
    known = {*all_types(tables), "Resource", "CanonicalResource", "MetadataResource", "DomainResource"}
    for structure in all_structures(tables):
        for element in structure.elements:
            assert {target for item in element.types for target in item.targets} <= known, element.path


def test_no_rule_stands_twice_on_the_way_to_a_value(tables: Definitions) -> None:
    for structure in all_structures(tables):
        for item in structure.properties.values():
            if item.type == "Resource":
                continue
            own = {rule.key for rule in item.element.invariants}
            assert not own & {rule.key for rule in tables.structure(item.structure).invariants}, item.element.path


@pytest.mark.parametrize(("version", "structure", "keys"), [
    (R5, "MedicationKnowledge", {"dom-2", "dom-3", "dom-4", "dom-5", "dom-6"}),
    (R5, "ClinicalUseDefinition", {"cud-1", "dom-2", "dom-3", "dom-4", "dom-5", "dom-6"}),
    (R5, "Quantity", {"ele-1", "qty-3"}),
    (R5, "Bundle.entry", {"ele-1", "bdl-5", "bdl-8"}),
    (R4, "Medication.ingredient", {"ele-1"}),
    (R4, "Extension", {"ele-1", "ext-1"}),
    (R5, "Resource", set()),
])  # fmt: skip
def test_the_rules_of_a_structure_are_those_of_the_specification(
    version: FhirVersion, structure: str, keys: set[str]
) -> None:
    assert {rule.key for rule in definitions(version).structure(structure).invariants} == keys


def test_a_simple_quantity_may_not_have_a_comparator(tables: Definitions) -> None:
    element = tables.structure("Range").properties["low"].element
    assert {rule.key: rule.expression for rule in element.invariants} == {"sqty-1": "comparator.empty()"}


@pytest.mark.parametrize(("version", "name", "good", "bad"), [
    (R5, "decimal", ["0.50", "-1", "1e10", "1E-3"], ["01", "1.", ".5", "1e3}", "abc"]),
    (R5, "dateTime", ["2024", "2024-02", "2024-02-01", "2024-02-01T10:00:00Z", "2024-02-01T10:00:00.123+02:00"],
     ["2024-02-01T10:00:00", "2024-02-01Z", "2024-13", "24", "2024-02-01T10:00:00+"]),
    (R4, "dateTime", ["2024-02-01T10:00:00.1234567890Z"], ["2024-02-01T10:00:00"]),
    (R4, "string", ["a b", "a\u00a0b", "\n"], [""]),
    (R5, "string", ["a\u00a0b"], [""]),
    (R5, "id", ["a", "A-1.b", "a" * 64], ["", "a" * 65, "a_b", "a b"]),
    (R4, "base64Binary", ["YWJj", "YW Jj".replace(" ", "") + "\nYWJj"], ["", "YWJ"]),
    (R5, "code", ["a", "a b"], ["", " a", "a  b", "a "]),
    (R5, "positiveInt", ["1", "10"], ["0", "-1", "01"]),
])  # fmt: skip
def test_the_regex_of_a_primitive_type_accepts_what_the_type_allows(
    version: FhirVersion, name: str, good: list[str], bad: list[str]
) -> None:
    regex = re.compile(definitions(version).structure(name).regex or "")
    assert [text for text in good if not regex.fullmatch(text)] == []
    assert [text for text in bad if regex.fullmatch(text)] == []


def test_every_regex_compiles_and_white_space_does_not_make_it_slow(tables: Definitions) -> None:
    found = [tables.structure(name).regex for name in tables.primitive_types()]
    # In a process that can be given up: what goes back over every way to part the text would take longer than anyone
    # can wait, and all of them together take milliseconds.
    program = "import json, re, sys; [re.fullmatch(one, 'A' * 40 + ' ' * 400 + '!') for one in json.load(sys.stdin)]"
    text = json.dumps([regex for regex in found if regex is not None])
    subprocess.run([sys.executable, "-c", program], input=text, text=True, check=True, timeout=PATIENCE)


def test_integers_have_the_limits_of_their_type() -> None:
    integer = definitions(R5).structure("integer64")
    assert (integer.min_value, integer.max_value) == (-(2**63), 2**63 - 1)
    assert definitions(R4).structure("integer").max_value == 2**31 - 1
    assert definitions(R4).structure("string").max_length == 1024 * 1024


def test_every_required_binding_lists_its_codes_or_says_why_not(tables: Definitions) -> None:
    open_ended = set()
    for structure in all_structures(tables):
        for element in structure.elements:
            if element.binding is None or element.binding.strength != "required":
                continue
            found = tables.value_set(element.binding.value_set)
            assert found is not None, element.path
            if found.complete:
                assert any(found.codes.values()), found.url
                assert found.reason is None
            else:
                assert found.reason, found.url
                open_ended.add(found.url.rstrip("/").rpartition("/")[2])
    assert open_ended <= {"mimetypes", "all-languages", "ucum-units", "color-codes", "LL379-9", "LL2938-0"}


@pytest.mark.parametrize(("url", "system", "code", "answer"), [
    (VALUE_SET + "medication-status", None, "active", True),
    (VALUE_SET + "medication-status", None, "actve", False),
    (VALUE_SET + "medication-status|5.0.0", None, "active", True),
    (VALUE_SET + "administrative-gender", "http://hl7.org/fhir/administrative-gender", "male", True),
    (VALUE_SET + "administrative-gender", "http://example.org", "male", False),
    (VALUE_SET + "mimetypes", None, "text/plain", None),
    (VALUE_SET + "mimetypes", "urn:ietf:bcp:13", "text/plain", None),
    (VALUE_SET + "mimetypes", "http://example.org", "text/plain", False),
    (VALUE_SET + "currencies", None, "USD", True),
    (VALUE_SET + "currencies", None, "XXZ", False),
])  # fmt: skip
def test_a_value_set_says_yes_no_or_cannot_tell(url: str, system: str | None, code: str, answer: bool | None) -> None:
    found = definitions(R5).value_set(url)
    assert found is not None
    assert found.contains(system, code) is answer


def test_a_bare_code_implies_the_system_of_its_value_set() -> None:
    r5 = definitions(R5)
    binding = r5.structure("Medication").properties["status"].element.binding
    assert binding is not None
    found = r5.value_set(binding.value_set)
    assert found is not None
    assert found.system_of("active") == "http://hl7.org/fhir/CodeSystem/medication-status"
    assert found.display(None, "entered-in-error") == "Entered in Error"
    assert r5.value_set(VALUE_SET + "no-such-set") is None


def test_a_code_system_knows_what_stands_above_a_code() -> None:
    found = definitions(R5).code_system("http://hl7.org/fhir/issue-type")
    assert found is not None
    assert found.parents["required"] == ("invalid",)
    assert "invalid" not in found.parents
    flat = definitions(R5).code_system("http://hl7.org/fhir/administrative-gender")
    assert flat is not None
    assert flat.concepts["female"] == "Female"
    assert not flat.parents
    assert flat.case_sensitive is True
    assert definitions(R5).code_system("http://hl7.org/fhir/bundle-type-de") is None, "a supplement is no system"


@pytest.mark.parametrize(("version", "type_", "code", "kind", "expression"), [
    (R4, "Medication", "form", "token", "Medication.form"),
    (R4, "Medication", "ingredient", "reference", "Medication.ingredient.item.ofType(Reference)"),
    (R5, "Medication", "form", "token", "Medication.doseForm"),
    (R5, "Medication", "_id", "token", "Resource.id"),
    (R5, "Medication", "_text", "special", None),
    (R5, "MedicationKnowledge", "packaging-cost", "quantity", "MedicationKnowledge.packaging.cost.cost.ofType(Money)"),
    (R5, "MedicationKnowledge", "status", "token", "MedicationKnowledge.status"),
    (R4B, "ClinicalUseDefinition", "indication", "token",
     "ClinicalUseDefinition.indication.diseaseSymptomProcedure.concept"),
    (R4B, "ClinicalUseDefinition", "indication-reference", "reference",
     "ClinicalUseDefinition.indication.diseaseSymptomProcedure.reference"),
    (R5, "ImagingStudy", "reason", "token", "ImagingStudy.reason.concept"),
])  # fmt: skip
def test_a_search_parameter_has_the_expression_for_its_type_alone(
    version: FhirVersion, type_: str, code: str, kind: str, expression: str | None
) -> None:
    found = definitions(version).search_parameters(type_)[code]
    assert (found.code, found.type, found.expression) == (code, kind, expression)


def test_search_parameters_are_those_of_the_type_and_its_bases() -> None:
    found = definitions(R5).search_parameters("ClinicalUseDefinition")
    own = {code for code, parameter in found.items() if parameter.base == "ClinicalUseDefinition"}
    assert own == {
        "contraindication", "contraindication-reference", "effect", "effect-reference", "identifier", "indication",
        "indication-reference", "interaction", "product", "status", "subject", "type",
    }  # fmt: skip
    assert {"_id", "_lastUpdated", "_tag", "_profile", "_security", "_source", "_text"} <= set(found)
    assert {"Medication", "MedicinalProductDefinition", "Substance"} < set(found["subject"].targets)
    with pytest.raises(KeyError):
        definitions(R5).search_parameters("Nope")


@pytest.mark.slow
def test_every_search_expression_parses_as_fhirpath() -> None:
    found = {parameter.expression for version in FhirVersion for parameter in all_parameters(definitions(version))}
    expressions = found - {None}
    assert len(expressions) > 2000
    for expression in expressions:
        fhirpathpy.compile(expression)


def test_every_search_expression_leads_to_an_element(tables: Definitions) -> None:
    for parameter in all_parameters(tables):
        if parameter.expression is None:
            continue
        starts = leads_to(parameter.expression, tables.structure)
        assert starts, parameter.url
        for component in parameter.components:
            for start in starts:
                assert leads_to(component.expression, tables.structure, start, parameter.base), component


def test_every_search_expression_is_for_its_own_type(tables: Definitions) -> None:
    for parameter in all_parameters(tables):
        for branch in branches(parameter.expression or parameter.base):
            assert branch.lstrip("(").startswith((parameter.base, "Resource.")), parameter.url


def test_every_component_has_a_type_that_can_be_searched(tables: Definitions) -> None:
    for parameter in all_parameters(tables):
        assert (parameter.type == "composite") is bool(parameter.components), parameter.url
        for component in parameter.components:
            assert component.type in {"token", "date", "quantity", "string", "reference", "uri", "number", "special"}


def test_a_reference_test_finds_references_by_url_and_by_type() -> None:
    subject = [
        {"reference": "Patient/1"},
        {"reference": "https://example.org/fhir/Patient/2/_history/3"},
        {"type": "Patient", "identifier": {"value": "4"}},
        {"reference": "Group/5"},
        {"reference": "OutPatient/6"},
    ]
    expression = definitions(R5).search_parameters("Account")["patient"].expression
    found = fhirpathpy.evaluate({"resourceType": "Account", "subject": subject}, expression)
    assert found == subject[:3]


@pytest.mark.parametrize("version", [R4, R4B])
def test_an_extension_says_where_it_may_stand_and_what_it_holds(version: FhirVersion) -> None:
    tables = definitions(version)
    place = tables.extension("http://hl7.org/fhir/StructureDefinition/patient-birthPlace")
    assert place is not None
    assert [(item.type, item.expression) for item in place.contexts] == [("element", "Patient")]
    assert [item.code for item in place.types] == ["Address"]
    assert (place.min, place.max, place.value_min, place.extensions) == (0, 1, 1, ())
    nationality = tables.extension("http://hl7.org/fhir/StructureDefinition/patient-nationality")
    assert nationality is not None
    assert nationality.types == ()
    assert [part.url for part in nationality.extensions] == ["code", "period"]
    assert tables.extension("http://example.org/none") is None


def test_loading_a_type_reads_no_other_file(tmp_path: Path) -> None:
    shutil.copy(DATA / "r5/types.json", tmp_path)
    (tmp_path / "types").mkdir()
    shutil.copy(DATA / "r5/types/Medication.json", tmp_path / "types")
    tables = Definitions(R5, tmp_path)
    assert tables.structure("Medication.ingredient").properties["item"].type == "CodeableReference"
    with pytest.raises(FileNotFoundError):
        tables.structure("Quantity")


def test_threads_see_the_same_tables() -> None:
    fresh = Definitions(R5)
    seen: list[object] = []
    threads = [threading.Thread(target=lambda: seen.append(fresh.structure("Medication"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 8
    assert all(found == seen[0] for found in seen)


def test_what_is_handed_out_cannot_be_changed() -> None:
    structure = definitions(R5).structure("Medication")
    with pytest.raises(AttributeError):
        structure.kind = "backbone"  # type: ignore[misc] # what is refused is what is tried
    with pytest.raises(TypeError):
        structure.properties["x"] = structure.properties["id"]  # type: ignore[index] # the same
