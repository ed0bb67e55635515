"""Every claim has a resource, every clinical element a claim or another stated basis, and every code a source."""

from __future__ import annotations

import csv
import hashlib
import json
import re
import unicodedata
from typing import Any

import pytest

from scripts.narrative_rows import assessed, claim_ids
from tests.content.monograph import (
    ASSERTION_BASIS,
    CONTENT,
    OWN,
    RESOURCES,
    ROOT,
    SOURCE_CLAIM,
    Resource,
    claims,
    codings,
    elements,
    extension_values,
    of_type,
)

HERE = ROOT / "tests" / "content"
CLAIMS = [f"S{number}" for number in range(1, 81)]
VERIFIED = {
    (row["system"], row["code"]): row["display"]
    for row in json.loads((HERE / "verified_codes.json").read_text(encoding="utf-8"))
}
EFFECT = OWN + "StructureDefinition/effect-statement"
SHA1_BASE64 = "ffcmuzPQRgEs9asTvUPioDEJOsk="
SHA256 = "694083ecd3cc55dd2929003f87ef701e0ffcf6c3a8481c889d7859e308724f19"

# One statement a resource: a claim on the resource speaks for all of it. Elsewhere each element needs its own.
STATEMENTS = ("ClinicalUseDefinition", "Evidence", "Group")
COLLECTIONS = ("MedicationKnowledge", "Medication", "Substance")
# What describes the record rather than the medicine, and links, whose targets answer for themselves.
RECORD = {"resourceType", "id", "language", "text", "status", "author", "instance"}
LINKS = {"monograph", "associatedMedication", "definition", "clinicalUseIssue"}
# Extensions about the record; every other one is content and needs a basis like any element.
ABOUT_THE_RECORD = {
    *(SOURCE_CLAIM, ASSERTION_BASIS, OWN + "StructureDefinition/content-coverage"),
    "http://hl7.org/fhir/StructureDefinition/data-absent-reason",
}
# The wording of a term is the same everywhere.
SAME_WORDS = {"rapid eye movement sleep behavior disorder"}


def has_basis(element: Resource) -> bool:
    return bool(extension_values(element, SOURCE_CLAIM) or extension_values(element, ASSERTION_BASIS))


def unfounded(node: Any, path: str) -> list[str]:
    """The primitives below `node` that no claim and no other basis speaks for."""
    if isinstance(node, dict):
        if has_basis(node) or node.get("url") in ABOUT_THE_RECORD:
            return []
        found = []
        for name, child in node.items():
            if name.startswith("_") or name == "url" or (name == "reference" and isinstance(child, str)):
                continue
            companion = node.get(f"_{name}")
            if companion is not None and all(map(has_basis, companion if isinstance(companion, list) else [companion])):
                continue
            found += unfounded(child, f"{path}.{name}")
        return found
    if isinstance(node, list):
        return [each for index, child in enumerate(node) for each in unfounded(child, f"{path}[{index}]")]
    return [path]


def without_basis(concept: Resource) -> Resource:
    """A copy of a CodeableConcept whose codings carry no assertion-basis."""
    copy: Resource = json.loads(json.dumps(concept))
    for _, coding in codings(copy):
        kept = [each for each in coding.pop("extension", []) if each["url"] != ASSERTION_BASIS]
        if kept:
            coding["extension"] = kept
    return copy


def words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", unicodedata.normalize("NFKC", text).casefold().replace("\u2019", ""))


def ledger_rows() -> list[dict[str, str]]:
    with (RESOURCES / "claims.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_ledger_lists_each_claim_once_with_line_and_statement() -> None:
    rows = ledger_rows()
    assert [row["claim"] for row in rows] == CLAIMS
    assert all(1 <= int(row["line"]) <= 34 and row["statement"] for row in rows)


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_claim_has_a_resource(claim: str) -> None:
    carriers = [key for key, each in CONTENT.items() if claim in claims(each) and not key.startswith("ArtifactAssess")]
    assert carriers
    assert f"| {claim} |" in (ROOT / "docs" / "content.md").read_text(encoding="utf-8")


def test_no_resource_names_a_claim_that_the_ledger_lacks() -> None:
    assert set().union(*map(claims, CONTENT.values())) == set(CLAIMS)


@pytest.mark.parametrize("key", of_type(*STATEMENTS))
def test_a_statement_rests_on_a_claim(key: str) -> None:
    assert extension_values(CONTENT[key], SOURCE_CLAIM)


@pytest.mark.parametrize("key", of_type(*COLLECTIONS))
def test_every_element_about_a_medicine_rests_on_a_claim_or_a_stated_basis(key: str) -> None:
    medicine = {name: child for name, child in CONTENT[key].items() if name not in RECORD | LINKS}
    assert unfounded(medicine, key) == []


def test_the_check_for_unfounded_elements_finds_an_element_without_a_basis() -> None:
    assert unfounded({"doseForm": {"text": "capsule"}}, "X") == ["X.doseForm.text"]
    assert unfounded({"name": ["a", "b"], "_name": [{"extension": []}, {"extension": []}]}, "X") == [
        "X.name[0]",
        "X.name[1]",
    ]
    onset = {"url": "onset", "valueRange": {"high": {"value": 1}}}
    assert unfounded({"extension": [onset]}, "X") == ["X.extension[0].valueRange.high.value"]


def test_a_code_from_an_outside_terminology_says_that_it_was_added() -> None:
    bare = []
    for key, resource in of_type(*STATEMENTS, *COLLECTIONS).items():
        for path, coding in codings(resource):
            outside = not coding["system"].startswith((OWN, "http://hl7.org/fhir/", "http://terminology.hl7.org/"))
            outside |= coding["system"].startswith("http://hl7.org/fhir/sid/")
            repeated = path.startswith(("indicationGuideline", "clinicalUseIssue")) and ".coding" in path
            section = coding["system"] == "http://loinc.org" and path.startswith("extension")
            if outside and not repeated and not section and not extension_values(coding, ASSERTION_BASIS):
                bare.append((key, path))
    assert bare == []


def test_an_indication_in_medication_knowledge_repeats_its_definition() -> None:
    uses = [
        use
        for knowledge in of_type("MedicationKnowledge").values()
        for guideline in knowledge.get("indicationGuideline", [])
        for use in guideline["indication"]
    ]
    assert {use["reference"]["reference"] for use in uses} == {
        key for key, each in of_type("ClinicalUseDefinition").items() if each["type"] == "indication"
    }
    for use in uses:
        definition = CONTENT[use["reference"]["reference"]]
        assert use["concept"] == without_basis(definition["indication"]["diseaseSymptomProcedure"]["concept"])
        (status,) = extension_values(use, OWN + "StructureDefinition/claim-regulatory-status")
        assert [status] == definition["category"]
        assert extension_values(use, EFFECT) == extension_values(definition, EFFECT)
        assert set(extension_values(use, SOURCE_CLAIM)) == set(extension_values(definition, SOURCE_CLAIM))


def test_the_regulatory_status_of_a_use_is_in_its_category_and_in_its_text() -> None:
    wording = {
        "in-approval-per-source": '"in approval" per the source',
        "off-label": "off-label",
        "investigational": "investigational",
        "unspecified": "status not stated",
    }
    seen = set()
    for each in of_type("ClinicalUseDefinition").values():
        if each["type"] == "indication":
            (category,) = each["category"]
            status = category["coding"][0]["code"]
            seen.add(status)
            assert each["indication"]["diseaseSymptomProcedure"]["concept"]["text"].endswith(f"({wording[status]})")
    assert seen == wording.keys()


@pytest.mark.parametrize("key", of_type("ClinicalUseDefinition"))
def test_a_use_and_a_limitation_have_one_statement_of_effect_with_what_it_rests_on(key: str) -> None:
    resource = CONTENT[key]
    (statement,) = extension_values(resource, EFFECT)
    (coding,) = statement["coding"]
    codes = {concept["code"] for concept in CONTENT["CodeSystem/effect-statement"]["concept"]}
    negative = {"not-effective", "not-suitable"}
    assert coding["code"] in (negative if resource["type"] == "warning" else codes - negative)
    stated = set(extension_values(statement, SOURCE_CLAIM))
    assert stated or extension_values(statement, ASSERTION_BASIS) == ["editor"]
    assert stated or coding["code"] == "unknown"
    assert coding["display"] in resource["text"]["div"]


@pytest.mark.parametrize("key", of_type("ClinicalUseDefinition"))
def test_a_use_that_is_called_effective_says_so_in_its_words(key: str) -> None:
    (statement,) = extension_values(CONTENT[key], EFFECT)
    code = statement["coding"][0]["code"]
    if code in ("effective", "responds"):
        assert code in CONTENT[key]["indication"]["diseaseSymptomProcedure"]["concept"]["text"]


@pytest.mark.parametrize("claim", ["S26", "S31", "S80"])
def test_a_negative_claim_is_a_warning_and_never_an_indication(claim: str) -> None:
    carriers = [each for each in of_type("ClinicalUseDefinition").values() if claim in claims(each)]
    assert [each["type"] for each in carriers] == ["warning"]
    issues = {issue["reference"] for issue in CONTENT["MedicationKnowledge/clonazepam"]["clinicalUseIssue"]}
    assert f"ClinicalUseDefinition/{carriers[0]['id']}" in issues


def test_a_product_carries_no_use_and_no_dose() -> None:
    for key, each in of_type("MedicationKnowledge").items():
        if key != "MedicationKnowledge/clonazepam":
            assert not {"indicationGuideline", "clinicalUseIssue"} & each.keys()
    assert not [path for each in CONTENT.values() for path, part in elements(each) if "doseAndRate" in part]


def test_the_k_shape_is_never_the_shape_of_the_tablet() -> None:
    for knowledge in of_type("MedicationKnowledge").values():
        for each in knowledge.get("definitional", {}).get("drugCharacteristic", []):
            codes = {coding["code"] for coding in each["type"]["coding"]}
            assert ("K-shaped" in each.get("valueString", "")) == (codes == {"perforation"})


def test_the_scoring_of_the_half_milligram_tablet_is_unknown_and_not_absent() -> None:
    scoring = [
        each
        for each in CONTENT["MedicationKnowledge/klonopin-0-5-mg-tablet"]["definitional"]["drugCharacteristic"]
        if each["type"]["text"] == "Scoring"
    ]
    absent = {"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}
    assert [each["_valueString"]["extension"] for each in scoring] == [[absent]]


def test_no_evidence_is_graded() -> None:
    for each in of_type("Evidence").values():
        assert [part.keys() - {"extension"} for part in each["certainty"]] == [{"description"}]


def test_every_code_is_verified_and_has_its_verified_display() -> None:
    own = {
        (system["url"], concept["code"]): concept["display"]
        for system in of_type("CodeSystem").values()
        if system["content"] == "complete"
        for concept in system["concept"]
    }
    allowed = {**VERIFIED, **own}
    wrong = [
        (key, path, coding)
        for key, resource in CONTENT.items()
        for path, coding in codings(resource)
        if (coding["system"], coding["code"]) not in allowed
        or coding.get("display") != allowed[coding["system"], coding["code"]]
    ]
    assert wrong == []


def test_a_fragment_lists_exactly_the_codes_in_use_of_its_system() -> None:
    used: dict[str, dict[str, str]] = {}
    for resource in CONTENT.values():
        for _, coding in codings(resource):
            used.setdefault(coding["system"], {})[coding["code"]] = coding.get("display", "")
    fragments = [each for each in of_type("CodeSystem").values() if each["content"] == "fragment"]
    assert fragments
    for each in fragments:
        assert {concept["code"]: concept["display"] for concept in each["concept"]} == used[each["url"]]
        assert each["count"] == len(each["concept"])


def test_the_licence_notes_name_every_outside_system_in_use() -> None:
    notes = (RESOURCES / "LICENSES.md").read_text(encoding="utf-8")
    systems = {coding["system"] for each in CONTENT.values() for _, coding in codings(each)}
    outside = {system for system in systems if not system.startswith((OWN, "http://terminology.hl7.org/"))}
    outside -= {system for system in outside if re.match(r"http://hl7\.org/fhir/(?!sid/)", system)}
    assert outside
    assert [system for system in outside if system not in notes] == []


def test_the_source_document_is_identified_by_its_hashes_and_not_included() -> None:
    (content,) = CONTENT["DocumentReference/klonopin-source-text"]["content"]
    attachment = content["attachment"]
    assert attachment["hash"] == SHA1_BASE64
    assert extension_values(attachment, OWN + "StructureDefinition/content-sha256") == [SHA256]
    assert attachment["size"] == "3508"  # an integer64 is a string in JSON
    assert not {"data", "url"} & attachment.keys()
    assert not of_type("Binary")


def test_each_discrepancy_is_assessed_on_a_resource_that_exists() -> None:
    found = {each["identifier"][0]["value"]: each for each in of_type("ArtifactAssessment").values()}
    assert sorted(int(number[1:]) for number in found) == list(range(1, len(found) + 1))
    for number, each in found.items():
        assert each["title"].startswith(f"{number}: ")
        assert each["artifactReference"]["reference"] in CONTENT
        assert [part["informationType"] for part in each["content"]] == ["comment", "response"]


def test_the_narrative_of_a_use_names_the_discrepancies_that_concern_it() -> None:
    concerned = set()
    for assessment in of_type("ArtifactAssessment").values():
        for target in (each["reference"] for each in assessed(assessment)):
            if target.startswith("ClinicalUseDefinition/"):
                concerned.add(target)
                assert assessment["title"].split(":")[0] + ":" in CONTENT[target]["text"]["div"]
    assert concerned


@pytest.mark.parametrize("key", of_type("Evidence", "ArtifactAssessment"))
def test_the_words_of_the_editors_are_marked_as_theirs(key: str) -> None:
    resource = CONTENT[key]
    if resource["resourceType"] == "Evidence":
        own = [*resource.get("note", []), *resource["certainty"]]
        assert [extension_values(each, ASSERTION_BASIS) for each in own] == [["editor"]] * len(own)
    else:
        comment, response = (extension_values(each, ASSERTION_BASIS) for each in resource["content"])
        assert response == ["editor"]
        assert comment == (
            ["label"]
            if re.search(
                r"\bThe (\w+ )?label\b|(?<!match )\bthe label\b|States label", resource["content"][0]["summary"]
            )
            else ["editor"]
        )


def test_a_resource_without_provenance_is_administrative() -> None:
    covered = {target["reference"] for each in of_type("Provenance").values() for target in each["target"]}
    clinical = set(of_type(*STATEMENTS, *COLLECTIONS, "Composition"))
    assert clinical <= covered
    for each in of_type("Provenance").values():
        basis = {"terminology": "terminology", "label": "label"}.get(each["id"].split("-")[1])
        for target in each["target"]:
            bases = {
                value
                for _, part in elements(CONTENT[target["reference"]])
                for value in extension_values(part, ASSERTION_BASIS)
            }
            assert basis is None or basis in bases, (each["id"], target)


@pytest.mark.parametrize("path", [*sorted(RESOURCES.rglob("*.*")), ROOT / "docs" / "content.md"], ids=lambda p: p.name)
def test_no_six_words_in_a_row_are_the_source_text(path: Any) -> None:
    runs = set(json.loads((HERE / "source_runs.json").read_text(encoding="utf-8")))
    text = path.read_text(encoding="utf-8")
    tokens = words(re.sub(r'<[^>]+>|"[:,]| \| ', " / break / ", text))
    six = {" ".join(tokens[start : start + 6]) for start in range(len(tokens) - 5)}
    copied = {run for run in six if hashlib.sha256(run.encode()).hexdigest()[:16] in runs}
    assert copied <= SAME_WORDS


def test_the_check_for_copied_words_knows_the_source() -> None:
    runs = set(json.loads((HERE / "source_runs.json").read_text(encoding="utf-8")))
    run = " ".join(words("Rapid eye movement sleep\u00a0behavior Disorder"))
    assert hashlib.sha256(run.encode()).hexdigest()[:16] in runs
    assert len(runs) > 500


def test_the_narrative_of_a_resource_names_its_claims() -> None:
    for resource in CONTENT.values():
        for claim in claim_ids(resource):
            assert re.search(rf"\b{claim}\b", resource["text"]["div"])
