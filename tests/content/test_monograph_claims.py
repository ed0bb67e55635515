"""Every claim has a resource, every clinical element a claim or another stated basis, and every code a source."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from typing import Any

import pytest

from apothecary import convert
from apothecary.authoring.ledger import claim_ids
from tests.content.monograph import (
    ASSERTION_BASIS,
    BUILT,
    CLAIMS,
    CONTENT,
    DRUGS,
    LEDGER,
    OWN,
    RESOURCES,
    ROOT,
    SHEETS,
    SHIPPED,
    SOURCE_CLAIM,
    TEST_SHEET,
    TEST_TERMS,
    Resource,
    claims,
    codings,
    elements,
    extension_values,
    of_test,
    of_type,
)

HERE = ROOT / "tests" / "content"
DISCREPANCIES = [f"D{number}" for number in range(1, 25)]
VERIFIED = {
    (row["system"], row["code"]): row["display"]
    for row in json.loads((HERE / "verified_codes.json").read_text(encoding="utf-8"))
}
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


def test_the_ledger_lists_each_claim_once_with_line_and_statement() -> None:
    assert [row["claim"] for row in LEDGER] == CLAIMS
    assert all(int(row["line"]) >= 1 and row["statement"] for row in LEDGER)
    shipped = (RESOURCES / "claims.csv").read_text(encoding="utf-8")
    assert BUILT.ledger.startswith(shipped)


def test_the_shipped_ledger_has_the_eighty_claims_of_its_source() -> None:
    assert [claim for claim in CLAIMS if claim.startswith("clonazepam:")] == [
        f"clonazepam:S{number}" for number in range(1, 81)
    ]
    assert all(int(row["line"]) <= 34 for row in LEDGER if row["claim"].startswith("clonazepam:"))


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_claim_has_a_resource(claim: str) -> None:
    carriers = [key for key, each in CONTENT.items() if claim in claims(each) and not key.startswith("ArtifactAssess")]
    assert carriers
    if not all(map(of_test, carriers)):
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


LIMITATIONS = [
    (sheet.drug, f"{sheet.value['sources'][0]['key']}:{one['claims'][0]}")
    for sheet in (*SHEETS.values(), TEST_SHEET)
    for one in sheet.value["limitations"]
]


def test_the_negative_statements_of_the_shipped_source_are_limitations() -> None:
    assert {claim for drug, claim in LIMITATIONS if drug == "clonazepam"} == {
        *("clonazepam:S26", "clonazepam:S31", "clonazepam:S80")
    }


@pytest.mark.parametrize(("drug", "claim"), LIMITATIONS)
def test_a_negative_claim_is_a_warning_and_never_an_indication(drug: str, claim: str) -> None:
    carriers = [each for each in of_type("ClinicalUseDefinition").values() if claim in claims(each)]
    assert [each["type"] for each in carriers] == ["warning"]
    issues = {issue["reference"] for issue in CONTENT[f"MedicationKnowledge/{drug}"]["clinicalUseIssue"]}
    assert f"ClinicalUseDefinition/{carriers[0]['id']}" in issues


# What each claim says of the effect: the code, and the words for it in the text of the use.
EFFECTS = {
    "S28": ("epilepsy-in-children", "effective", "called effective"),
    "S33": ("non-convulsive-status-epilepticus", "effective", "called effective"),
    "S47": ("other-anxiety-disorders", "effective", "called effective"),
    "S48": ("social-phobia", "effective", "called effective"),
    "S54": ("acute-mania", "effective", "called effective"),
    "S58": ("bruxism", "responds", "responds"),
    "S60": ("rem-sleep-behavior-disorder", "responds", "good response"),
    "S26": ("limitation-long-term-seizure-treatment", "not-suitable", "Not suitable"),
    "S31": ("not-effective-infantile-spasms", "not-effective", "Not effective"),
    "S80": ("not-effective-migraine-prevention", "not-effective", "Not effective"),
}


@pytest.mark.parametrize("claim", EFFECTS)
def test_the_strength_of_a_statement_is_coded_and_in_its_words(claim: str) -> None:
    id, code, words = EFFECTS[claim]
    resource = CONTENT[f"ClinicalUseDefinition/{id}"]
    (effect,) = extension_values(resource, OWN + "StructureDefinition/effect-statement")
    assert [coding["code"] for coding in effect["coding"]] == [code]
    assert f"clonazepam:{claim}" in extension_values(effect, SOURCE_CLAIM)
    assert "Statement of effect" in resource["text"]["div"]
    if resource["type"] == "indication":
        text = resource["indication"]["diseaseSymptomProcedure"]["concept"]["text"]
        assert words in text
        older = convert(CONTENT["MedicationKnowledge/clonazepam"], "R4").resource
        assert text in {one["indicationCodeableConcept"]["text"] for one in older["administrationGuidelines"]}
    else:
        assert words in resource["warning"]["code"]["text"]


def test_nothing_else_has_a_statement_of_effect() -> None:
    stated = {
        each["id"]
        for each in of_type("ClinicalUseDefinition").values()
        if each["subject"] == [{"reference": "Medication/clonazepam"}]
        and extension_values(each, OWN + "StructureDefinition/effect-statement")
    }
    assert stated == {id for id, _, _ in EFFECTS.values()}


@pytest.mark.parametrize(
    "use", ["panic-disorder", "panic-disorder-with-agoraphobia", "panic-disorder-without-agoraphobia"]
)
def test_a_limit_on_duration_is_in_the_words_of_the_use(use: str) -> None:
    concept = CONTENT[f"ClinicalUseDefinition/{use}"]["indication"]["diseaseSymptomProcedure"]["concept"]
    assert "short-term" in concept["text"]


def test_acute_belongs_to_the_psychosis_and_not_to_the_aggression() -> None:
    indication = CONTENT["ClinicalUseDefinition/psychosis-induced-aggression-benzodiazepines"]["indication"]
    assert "diseaseStatus" not in indication
    assert [one["concept"]["text"] for one in indication["comorbidity"]] == ["acute psychosis"]


def test_definitions_that_contradict_one_another_refer_to_one_another() -> None:
    three = ["limitation-long-term-seizure-treatment", "seizures-prevention", "treatment-resistant-epilepsy"]
    for one in three:
        see_also = extension_values(CONTENT[f"ClinicalUseDefinition/{one}"], OWN + "StructureDefinition/see-also")
        named = {each["reference"].partition("/")[2] for each in see_also}
        assert {*three} - {one} <= named


def test_what_the_source_says_of_plasma_levels_and_tolerance_is_not_denied() -> None:
    sections = CONTENT["Composition/clonazepam-monograph"]["section"]
    (pharmacology,) = [one for one in sections if one["title"] == "Clinical pharmacology"]
    assert {f"clonazepam:S{number}" for number in (18, 19, 27, 29)} == claims(pharmacology)
    assert "plasma" in pharmacology["text"]["div"]
    assert "tolerance" in pharmacology["text"]["div"]


def test_what_the_editors_say_of_evidence_and_limitations_is_marked_as_theirs() -> None:
    for key, each in of_type("Evidence").items():
        for part in (*each["certainty"], *each.get("note", ())):
            assert extension_values(part, ASSERTION_BASIS) == ["editor"], key
    for key, each in of_type("ClinicalUseDefinition").items():
        if "not a contraindication" in each.get("warning", {}).get("description", ""):
            assert extension_values(each["warning"]["_description"], ASSERTION_BASIS) == ["editor"], key


@pytest.mark.parametrize(("branded", "generic"), [("206157", "197527"), ("206159", "197528"), ("206160", "197529")])
def test_a_tablet_is_found_by_its_generic_clinical_drug_too(branded: str, generic: str) -> None:
    relation = OWN + "StructureDefinition/code-relationship"
    for kind in ("Medication", "MedicationKnowledge"):
        codes = {
            coding["code"]: extension_values(coding, relation)
            for each in of_type(kind).values()
            for coding in each["code"].get("coding", ())
        }
        assert codes[branded] == []
        assert codes[generic] == ["source-is-narrower-than-target"]


def test_a_product_carries_no_use() -> None:
    for key, each in of_type("MedicationKnowledge").items():
        if each["id"] not in DRUGS:
            assert not {"indicationGuideline", "clinicalUseIssue"} & each.keys(), key


def test_a_source_without_doses_gives_none() -> None:
    knowledge = CONTENT["MedicationKnowledge/clonazepam"]
    assert not [path for path, part in elements(knowledge) if "doseAndRate" in part]


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
    made_up = {
        (one["system"], code): held if isinstance(held, str) else held["display"]
        for one in TEST_TERMS.values()
        for code, held in one["codes"].items()
    }
    allowed = {**VERIFIED, **own, **made_up}
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
        listed = {concept["code"]: concept["display"] for concept in each["concept"]}
        above = {part["valueCode"] for concept in each["concept"] for part in concept.get("property", ())} - used[
            each["url"]
        ].keys()
        assert {code: display for code, display in listed.items() if code not in above} == used[each["url"]]
        assert above <= listed.keys()
        assert each["count"] == len(each["concept"])


def test_the_licence_notes_name_every_outside_system_in_use() -> None:
    notes = (RESOURCES / "LICENSES.md").read_text(encoding="utf-8")
    systems = {coding["system"] for each in SHIPPED.resources.values() for _, coding in codings(each)}
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
    assessments = of_type("ArtifactAssessment")
    shipped = [
        each["identifier"][0]["value"]
        for key, each in assessments.items()
        if key.startswith("ArtifactAssessment/discrepancy-")
    ]
    assert sorted(shipped, key=lambda number: int(number[1:])) == DISCREPANCIES
    for each in assessments.values():
        assert each["title"].startswith(f"{each['identifier'][0]['value']}: ")
        assert each["artifactReference"]["reference"] in CONTENT
        assert [part["informationType"] for part in each["content"]] == ["comment", "response"]


def test_a_resource_without_provenance_is_administrative() -> None:
    covered = {target["reference"] for each in of_type("Provenance").values() for target in each["target"]}
    clinical = set(of_type(*STATEMENTS, *COLLECTIONS, "Composition"))
    assert clinical <= covered
    for each in of_type("Provenance").values():
        basis = next((one for one in ("terminology", "label") if one in each["id"]), None)
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
