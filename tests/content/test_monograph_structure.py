"""Every file of the content is a sound FHIR R5 resource under its own name, and refers only to what exists."""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from fhirpathpy import evaluate

from apothecary.app import create_app
from apothecary.authoring import narrative
from apothecary.authoring.rows import Library
from apothecary.content.sync import sync
from apothecary.content.write import file_text
from apothecary.fhir.json import dumps
from apothecary.settings import Settings
from apothecary.store.open import open_store
from scripts import content_page
from tests.conformance.harness import ROOT
from tests.content.monograph import (
    CONTENT,
    DRUGS,
    OWN,
    RESOURCES,
    TEXTS,
    Resource,
    elements,
    extension_values,
    of_type,
)

XHTML = "{http://www.w3.org/1999/xhtml}"
NARRATIVE_ELEMENTS = {"div", "p", "b", "table", "tbody", "tr", "th", "td", "ul", "li"}
STANDARD_SECTIONS = {
    *("34066-1", "34067-9", "34068-7", "34070-3", "34071-1", "43685-7", "34073-7", "34084-4", "34088-5", "34069-5"),
    *("34090-1", "42228-7", "77290-5", "34081-0", "34082-8"),
}


# What parameters find that are there for statements of a kind which the content has none of.
SAMPLES: dict[str, list[Resource]] = {
    "ClinicalUseDefinition-interactant": [
        {
            "resourceType": "ClinicalUseDefinition",
            "type": "interaction",
            "interaction": {"interactant": [{"itemCodeableConcept": {"text": "grapefruit juice"}}]},
        }
    ],
    "ClinicalUseDefinition-interactant-reference": [
        {
            "resourceType": "ClinicalUseDefinition",
            "type": "interaction",
            "interaction": {"interactant": [{"itemReference": {"reference": "Medication/clonazepam"}}]},
        }
    ],
}


# Extensions for what content of others may say.
OTHERS = {
    "https://example.org/fhir/StructureDefinition/member-of",
    "https://example.org/fhir/StructureDefinition/statement-route",
}


def model(resource: Resource) -> Any:
    """The fhir.resources R5 class of `resource`."""
    kind = resource["resourceType"]
    return getattr(importlib.import_module(f"fhir.resources.{kind.lower()}"), kind)


def xhtml(text: str) -> ElementTree.Element:
    """The root of a narrative; ParseError if it is not well-formed."""
    return ElementTree.fromstring(text)  # noqa: S314 - the project's own files


def narratives(resource: Resource) -> list[str]:
    return [element["div"] for _, element in elements(resource) if "div" in element]


@pytest.mark.parametrize("key", CONTENT)
def test_a_file_is_named_for_the_type_and_the_id_it_holds(key: str) -> None:
    resource = CONTENT[key]
    assert f"{resource['resourceType']}/{resource['id']}" == key
    assert re.fullmatch(r"[A-Za-z0-9\-.]{1,64}", resource["id"])


@pytest.mark.parametrize("key", CONTENT)
def test_a_file_is_two_space_json_that_reads_back_to_the_same_text(key: str) -> None:
    assert file_text(CONTENT[key], ".json").decode() == TEXTS[key]


@pytest.mark.parametrize("key", CONTENT)
def test_fhir_resources_reads_a_file_and_gives_the_same_resource_back(key: str) -> None:
    parsed = model(CONTENT[key]).model_validate_json(TEXTS[key])
    read = json.loads(parsed.model_dump_json())
    for content in read.get("content", ()) if read["resourceType"] == "DocumentReference" else ():
        # R5 writes an integer64 as a string (https://hl7.org/fhir/R5/json.html#primitive), fhir.resources as a number.
        if "size" in content["attachment"]:
            content["attachment"]["size"] = str(content["attachment"]["size"])
    assert read == CONTENT[key]


@pytest.mark.parametrize("key", CONTENT)
def test_elements_stand_in_the_order_of_the_specification(key: str) -> None:
    sequence = ["resourceType", *model(CONTENT[key]).elements_sequence()]
    positions = [sequence.index(name.lstrip("_")) for name in CONTENT[key]]
    assert positions == sorted(positions)


def test_no_reference_dangles() -> None:
    references = [
        (key, element["reference"])
        for key, resource in CONTENT.items()
        for _, element in elements(resource)
        if isinstance(element.get("reference"), str)
    ]
    assert references
    assert [(key, target) for key, target in references if target not in CONTENT] == []


def test_every_own_canonical_and_extension_is_defined_in_the_content() -> None:
    defined = {resource["url"] for resource in CONTENT.values() if "url" in resource}
    used = {
        (key, value.split("|")[0])
        for key, resource in CONTENT.items()
        for _, element in elements(resource)
        for name, value in element.items()
        if name in ("url", "system", "valueSet", "baseDefinition") and isinstance(value, str) and value.startswith(OWN)
    }
    used = {(key, url) for key, url in used if not url.startswith(OWN + "identifier/")}
    assert used
    assert [(key, url) for key, url in used if url not in defined] == []


def test_each_extension_stands_where_its_definition_allows_and_has_the_type_it_asks_for() -> None:
    definitions = {each["url"]: each for each in of_type("StructureDefinition").values()}
    seen = set()
    for key, resource in CONTENT.items():
        for path, element in elements(resource):
            for extension in element.get("extension", []):
                definition = definitions.get(extension["url"])
                if definition is None:
                    continue
                seen.add(extension["url"])
                place = ".".join([resource["resourceType"], *filter(None, [re.sub(r"\[\d+\]", "", path)])])
                contexts = {context["expression"] for context in definition["context"]}
                general = {"Element", "DomainResource", "Coding", "Attachment"}
                assert contexts & general or place in contexts, (key, place, contexts)
                types = {
                    "value" + each["code"][0].upper() + each["code"][1:]
                    for part in definition["snapshot"]["element"]
                    if part["id"] == "Extension.value[x]"
                    for each in part["type"]
                }
                values = {name for name in extension if name.startswith("value")}
                assert values <= types, (key, place, values)
                assert bool(values) != ("extension" in extension), (key, place)
    assert seen == set(definitions) - OTHERS


def test_required_bindings_of_own_extensions_hold() -> None:
    codes = {
        system["valueSet"]: {concept["code"] for concept in system["concept"]}
        for system in of_type("CodeSystem").values()
        if "valueSet" in system
    }
    bound = {
        "assertion-basis": codes[OWN + "ValueSet/assertion-basis"],
        "code-relationship": {
            *("related-to", "equivalent", "source-is-narrower-than-target", "source-is-broader-than-target"),
        },
    }
    for name, allowed in bound.items():
        used = {
            value
            for resource in CONTENT.values()
            for _, element in elements(resource)
            for value in extension_values(element, f"{OWN}StructureDefinition/{name}")
        }
        assert used
        assert used <= allowed, name


@pytest.mark.parametrize("key", of_type("ClinicalUseDefinition"))
def test_a_clinical_use_definition_is_exactly_what_its_type_says(key: str) -> None:
    resource = CONTENT[key]
    kinds = {"indication", "contraindication", "interaction", "undesirableEffect", "warning"} & resource.keys()
    assert kinds == {resource["type"].replace("-effect", "Effect")}
    assert [subject["reference"].split("/")[0] for subject in resource["subject"]] == ["Medication"]


@pytest.mark.parametrize("key", CONTENT)
def test_a_narrative_is_plain_xhtml_in_the_language_of_its_resource(key: str) -> None:
    found = narratives(CONTENT[key])
    assert CONTENT[key]["text"]["div"] in found
    for text in found:
        root = xhtml(text)
        assert root.tag == XHTML + "div"
        assert {element.tag.removeprefix(XHTML) for element in root.iter()} <= NARRATIVE_ELEMENTS
        assert "".join(root.itertext()).strip()
        assert root.get("lang", "en") == CONTENT[key]["language"]


def test_a_changed_resource_has_a_stale_narrative() -> None:
    library = Library(CONTENT.values())
    medication = json.loads(json.dumps(CONTENT["Medication/klonopin-1-mg-tablet"]))
    medication["ingredient"][0]["strengthRatio"]["numerator"]["value"] = 7
    assert "7 mg per 1 tablet" in narrative.with_narrative(medication, library)["text"]["div"]


def test_markup_in_a_text_is_escaped_in_the_narrative() -> None:
    library = Library(CONTENT.values())
    organization = {"resourceType": "Organization", "id": "x", "name": "<script>alert(1)</script>"}
    root = xhtml(narrative.with_narrative(organization, library)["text"]["div"])
    assert {element.tag.removeprefix(XHTML) for element in root.iter()} == {"div", "p", "b"}


def test_the_page_on_the_content_shows_what_the_resources_say_now() -> None:
    assert content_page.main(["--check"]) == 0


def test_a_type_without_a_description_keeps_its_own_narrative() -> None:
    other = {"resourceType": "Basic", "id": "x", "text": {"status": "additional", "div": "<div/>"}}
    assert narrative.with_narrative(other, Library([])) == other


def test_only_resource_folders_hold_json() -> None:
    assert not list(RESOURCES.glob("*.json"))
    assert {path.name for path in RESOURCES.iterdir() if path.is_file()} == {"LICENSES.md", "claims.csv"}


@pytest.mark.parametrize("drug", DRUGS)
def test_the_composition_has_every_standard_section_and_says_which_are_empty(drug: str) -> None:
    sections = CONTENT[f"Composition/{drug}-monograph"]["section"]
    codes = {coding["code"] for section in sections if "code" in section for coding in section["code"]["coding"]}
    assert codes == STANDARD_SECTIONS
    for section in sections:
        assert "text" in section, section["title"]
        if "emptyReason" in section:
            assert "entry" not in section, section["title"]
            assert section["emptyReason"]["coding"][0]["code"] == "notstarted"
            assert "does not mean" in section["text"]["div"]


@pytest.mark.parametrize("key", of_type("MedicationKnowledge"))
def test_medication_knowledge_says_how_far_each_section_is_covered(key: str) -> None:
    coverage = {}
    for extension in CONTENT[key]["extension"]:
        if extension["url"].endswith("/content-coverage"):
            parts = {part["url"]: part for part in extension["extension"]}
            for coding in parts["section"]["valueCodeableConcept"].get("coding", []):
                coverage[coding["code"]] = parts["coverage"]["valueCode"]
    assert coverage.keys() == STANDARD_SECTIONS
    if key.startswith(("MedicationKnowledge/clonazepam", "MedicationKnowledge/klonopin")):
        assert coverage["34066-1"] == coverage["34070-3"] == coverage["34073-7"] == "not-supplied"
        assert "not a label" in CONTENT[key]["text"]["div"]


def test_medication_knowledge_can_be_searched_by_use_name_route_schedule_and_strength() -> None:
    codes = {each["code"] for each in of_type("SearchParameter").values() if "MedicationKnowledge" in each["base"]}
    assert {"indication", "indication-status", "drug-name", "route", "schedule", "strength"} <= codes


@pytest.mark.parametrize("key", of_type("SearchParameter"))
def test_a_search_parameter_finds_something_in_the_content(key: str) -> None:
    parameter = CONTENT[key]
    assert parameter["id"] == f"{parameter['base'][0]}-{parameter['code']}"
    # The engine knows no types without a model: name the choice elements as they stand in the JSON.
    expression = re.sub(r"\.ofType\((\w+)\)", r"\1", parameter["expression"])
    searched = [*of_type(*parameter["base"]).values(), *SAMPLES.get(parameter["id"], ())]
    hits = [hit for each in searched for hit in evaluate(each, expression)]
    assert hits
    if parameter["type"] == "reference":
        # A logical reference names its target by an identifier.
        links = [hit["reference"] if isinstance(hit, dict) else hit for hit in hits if "identifier" not in hit]
        targets = {link.split("/")[0] for link in links}
        assert targets <= set(parameter["target"])


def test_all_of_it_can_be_written_back(tmp_path: Path) -> None:
    settings = Settings(database=f"sqlite:///{tmp_path / 'a.db'}", content=str(ROOT / "resources"))
    store = open_store(settings)
    sync(settings, store)
    client = create_app(settings, store).test_client()
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [
        {"resource": one, "request": {"method": "PUT", "url": name}} for name, one in CONTENT.items()
    ]}  # fmt: skip
    answer = client.post("/fhir", data=dumps(bundle), content_type="application/fhir+json")
    store.close()
    assert answer.status_code == 200, answer.text[:2000]
