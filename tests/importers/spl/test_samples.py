"""Labels as the FDA publishes them: all that they state is there, valid in each release, and no reference dangles."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from apothecary.content.xml_tree import Node, parse_xml
from apothecary.fhir.json import JSON
from apothecary.importers.labels.xhtml import plain
from apothecary.importers.report import Remark
from apothecary.importers.spl.sections import everything
from tests.importers.making import by_type, dangling, errors, imported

DATA = Path(__file__).parents[2] / "data" / "spl"
LIPITOR = "spl-17a163ef-b349-4e32-bc8c-b02bac7f65d6"
COUGH = "spl-00f66f25-3469-4c16-9baf-fba21e9628bd"


@pytest.fixture(scope="module")
def samples() -> tuple[list[JSON], list[Remark]]:
    return imported("spl", DATA)


@pytest.fixture(scope="module")
def resources(samples: tuple[list[JSON], list[Remark]]) -> dict[str, JSON]:
    return {f"{one['resourceType']}/{one['id']}": one for one in samples[0]}


def test_what_is_made_is_valid_in_every_release(resources: dict[str, JSON]) -> None:
    assert errors(resources.values()) == []


def test_every_reference_leads_to_what_is_there(resources: dict[str, JSON]) -> None:
    assert dangling(resources.values()) == set()


def test_the_same_files_make_the_same_resources(resources: dict[str, JSON]) -> None:
    assert imported("spl", DATA)[0] == list(resources.values())


def test_only_what_is_no_label_is_passed_over(samples: tuple[list[JSON], list[Remark]]) -> None:
    passed = [one for one in samples[1] if one.kind == "skipped"]
    assert [(Path(one.place.file).name, one.reason) for one in passed] == [
        ("README.md", "is neither XML nor an image"),
        ("labeler-request.xml", "is no label: NDC/NHRIC LABELER CODE REQUEST"),
    ]


def test_a_product_has_what_its_label_says(resources: dict[str, JSON]) -> None:
    knowledge = resources[f"MedicationKnowledge/{LIPITOR}-55289-800"]
    medication = resources[f"Medication/{LIPITOR}-55289-800"]
    codings = [{"system": "http://hl7.org/fhir/sid/ndc", "code": one} for one in ("55289-800", "55289-800-30")]
    assert knowledge["code"] == medication["code"] == {"coding": codings, "text": "Lipitor"}
    assert knowledge["name"] == ["Lipitor", "atorvastatin calcium trihydrate"]
    assert medication["doseForm"]["coding"][0]["code"] == "C42931"
    assert [one["coding"][0]["display"] for one in knowledge["definitional"]["intendedRoute"]] == ["ORAL"]
    first, *others = knowledge["definitional"]["ingredient"]
    assert [one["code"] for one in first["item"]["concept"]["coding"]] == ["48A5M73Z4Q", "A0JWA85V8F"]
    assert first["type"]["coding"][0]["code"] == "ACTIM"
    assert first["type"]["text"] == "Strength is that of atorvastatin (A0JWA85V8F)"
    assert first["strengthRatio"]["numerator"]["value"] == 20
    assert {one["type"]["coding"][0]["code"] for one in others} == {"IACT"}
    assert [one["isActive"] for one in medication["ingredient"]] == [True] + [False] * 12
    looks = {one["type"]["coding"][1]["code"]: one for one in knowledge["definitional"]["drugCharacteristic"]}
    assert looks["color"]["valueCodeableConcept"]["coding"][0]["display"] == "WHITE"
    assert looks["shape"]["valueCodeableConcept"]["text"] == "elliptical"
    assert (looks["size"]["valueQuantity"]["value"], looks["size"]["valueQuantity"]["code"]) == (12, "mm")
    assert looks["imprintcd"]["valueString"] == "PD;156;20"
    assert knowledge["relatedMedicationKnowledge"][0]["reference"][0]["identifier"]["value"] == "0071-0156"


def test_packages_stand_from_the_outside_in(resources: dict[str, JSON]) -> None:
    package = resources[f"PackagedProductDefinition/{COUGH}-0067-6344-04"]
    outer = package["packaging"]
    assert outer["type"]["coding"][0]["display"] == "CARTON"
    (inner,) = outer["packaging"]
    assert (inner["type"]["coding"][0]["display"], inner["quantity"]) == ("BOTTLE", 1)
    assert inner["containedItem"][0]["amount"] == {
        "value": 118, "unit": "mL", "system": "http://unitsofmeasure.org", "code": "mL",
    }  # fmt: skip
    assert package["marketingStatus"][0]["dateRange"] == {"start": "2008-09-26"}


def test_who_may_market_it_is_a_regulated_authorization(resources: dict[str, JSON]) -> None:
    one = resources[f"RegulatedAuthorization/{LIPITOR}-NDA020702-55289-800"]
    assert one["identifier"] == [{"system": "urn:oid:2.16.840.1.113883.3.150", "value": "NDA020702"}]
    assert one["type"]["coding"][0]["display"] == "NDA"
    assert one["region"][0]["coding"][0] == {"system": "urn:iso:std:iso:3166", "code": "USA"}


def test_each_section_that_states_something_is_a_statement(resources: dict[str, JSON]) -> None:
    found = by_type(resources.values(), "ClinicalUseDefinition")
    of_label = [one for one in found if one["id"].startswith(LIPITOR)]
    assert {one["id"].removeprefix(f"{LIPITOR}-"): one["type"] for one in of_label} == {
        "34067-9": "indication",
        "34070-3": "contraindication",
        "43685-7": "warning",
        "34084-4": "undesirable-effect",
        "34073-7": "interaction",
        "43684-0": "warning",
        "34077-8": "warning",
        "34080-2": "warning",
        "34081-0": "warning",
        "34082-8": "warning",
    }


def test_pregnancy_among_the_contraindications_is_one_of_them(resources: dict[str, JSON]) -> None:
    text = resources[f"ClinicalUseDefinition/{LIPITOR}-34070-3"]["text"]["div"]
    assert "Women who are pregnant or may become pregnant" in text
    assert "Active liver disease" in text


def test_what_stands_first_on_a_package_of_a_non_prescription_drug_says_so_with_its_title(
    resources: dict[str, JSON],
) -> None:
    one = resources[f"ClinicalUseDefinition/{COUGH}-50569-3"]["warning"]["description"]
    assert one.startswith("Ask a doctor before use if the child has\n\n- heart disease")


def test_a_drug_leads_to_its_statements_and_its_document(resources: dict[str, JSON]) -> None:
    knowledge = resources[f"MedicationKnowledge/{LIPITOR}-55289-800"]
    indication = knowledge["indicationGuideline"][0]["indication"][0]["reference"]["reference"]
    assert resources[indication]["type"] == "indication"
    issues = [resources[one["reference"]]["type"] for one in knowledge["clinicalUseIssue"]]
    assert {"contraindication", "warning", "interaction", "undesirable-effect"} <= set(issues)
    document = resources[knowledge["monograph"][0]["source"]["reference"]]
    assert document["content"][1]["attachment"]["url"] == f"Composition/{LIPITOR}/$document"


def words_of(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text)


def texts(node: Node) -> Iterator[str]:
    for part in node.content:
        if isinstance(part, str):
            yield part
        else:
            yield from texts(part)


def narratives(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "div" in node:
            yield node["div"]
        for part in node.values():
            yield from narratives(part)
    elif isinstance(node, list):
        for part in node:
            yield from narratives(part)


@pytest.mark.parametrize(("file", "key"), [("lipitor-repack.xml", LIPITOR), ("cough.xml", COUGH)])
def test_every_word_of_the_texts_stands_in_the_document(file: str, key: str, resources: dict[str, JSON]) -> None:
    def written(node: Node, inside: bool = False) -> Iterator[str]:
        for part in node.content:
            if isinstance(part, Node):
                # What footnotes and images become stands elsewhere than where they stood.
                yield from written(part, inside or part.name == "text")
            elif inside:
                yield part

    source = parse_xml((DATA / file).read_text())
    composition = resources[f"Composition/{key}"]
    shown = " ".join(" ".join(texts(parse_xml(one))) for one in narratives(composition))
    assert set(words_of(" ".join(written(source)))) - set(words_of(shown)) == set()
    count = len(words_of(" ".join(written(source))))
    assert count > 100
    assert len(words_of(shown)) >= count


def test_links_of_a_document_lead_to_places_in_it(resources: dict[str, JSON]) -> None:
    composition = resources[f"Composition/{LIPITOR}"]
    links = {link for one in narratives(composition) for link in re.findall(r'href="#([^"]+)"', one)}
    places = {one for div in narratives(composition) for one in re.findall(r' id="([^"]+)"', div)}

    def ids(sections: list[JSON]) -> Iterator[str]:
        for one in sections:
            if "id" in one:
                yield one["id"]
            yield from ids(one.get("section", []))

    assert links
    assert links <= places | set(ids(composition["section"]))


def test_tables_keep_their_cells(resources: dict[str, JSON]) -> None:
    div = next(one for one in narratives(resources[f"Composition/{LIPITOR}"]) if "Table 1. Drug Interactions" in one)
    rows = plain(parse_xml(div).content).split("\n")
    assert "Interacting Agents | Prescribing Recommendations" in rows


# What says how something else is to be read.
STRUCTURE = {"codeSystem", "classCode", "type", "root", "mediaType"}


@pytest.mark.parametrize("file", ["lipitor-repack.xml", "cough.xml"])
def test_every_value_of_the_product_data_is_there(file: str, resources: dict[str, JSON]) -> None:
    known = str(list(resources.values())).replace("-", "")

    def lost(node: Node) -> Iterator[str]:
        # How a count is called is what the package inside is.
        if node.name != "translation":
            values = [value for _, name, value in node.attributes if name not in STRUCTURE]
            values += [part for part in node.content if isinstance(part, str)]
            yield from (one for one in values if " ".join(one.split()).replace("-", "") not in known)
        for part in node.content:
            if isinstance(part, Node):
                yield from lost(part)

    subjects = [one for one in everything(parse_xml((DATA / file).read_text())) if one.name == "subject"]
    assert subjects
    assert [one for subject in subjects for one in lost(subject)] == []
