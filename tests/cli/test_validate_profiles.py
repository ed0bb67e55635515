"""`apothecary validate --profile --package` checks against profiles, and says what they ask."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from apothecary.cli import main

DEFINITIONS = Path(__file__).parent.parent / "data" / "profiles"
URL = "http://example.org/fhir/StructureDefinition/"
FORMULARY = str(DEFINITIONS / "StructureDefinition-formulary-drug.json")
DRUG: dict[str, Any] = {
    "resourceType": "MedicationKnowledge",
    "code": {
        "coding": [{"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "2598"}],
        "text": "clonazepam",
    },
}


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("drug.json").write_text(json.dumps(DRUG, indent=2))


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(main, ["validate", "drug.json", "--disable=dom-6", *arguments])
    assert isinstance(result, Result)
    return result


def findings(*arguments: str) -> list[tuple[str, str]]:
    found = json.loads(run("--format=json", *arguments).stdout)["findings"]
    return [(each["rule"], each["expression"]) for each in found]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--profile", FORMULARY],
        ["--profile", f"{URL}formulary-drug", "--package", str(DEFINITIONS)],
    ],
)
def test_resources_of_its_type_are_checked_against_a_profile(arguments: list[str]) -> None:
    # The profile is for R4, and so the resource is checked as R4.
    assert findings(*arguments) == [("profile-cardinality", "MedicationKnowledge")]
    assert run(*arguments).exit_code == 1


def test_a_package_alone_checks_what_resources_claim() -> None:
    assert findings("--package", str(DEFINITIONS)) == []
    Path("drug.json").write_text(
        json.dumps({**DRUG, "meta": {"profile": [f"{URL}formulary-drug", f"{URL}unheard-of"]}})
    )
    assert findings("--package", str(DEFINITIONS)) == [
        ("profile-cardinality", "MedicationKnowledge"),
        ("profile-unknown", "MedicationKnowledge.meta.profile[1]"),
    ]
    # Without a package nothing is known of them, which is told as well.
    assert findings() == [
        ("profile-unknown", "MedicationKnowledge.meta.profile[0]"),
        ("profile-unknown", "MedicationKnowledge.meta.profile[1]"),
    ]


def test_the_configuration_names_profiles_and_packages_beside_it() -> None:
    shutil.copytree(DEFINITIONS, "definitions")
    Path("apothecary.toml").write_text(
        f'[validate]\npackages = ["definitions"]\nprofiles = ["{URL}formulary-drug"]\n', encoding="utf-8"
    )
    assert findings() == [("profile-cardinality", "MedicationKnowledge")]
    name = "definitions/StructureDefinition-formulary-drug.json"
    Path("apothecary.toml").write_text(f'[validate]\nprofiles = ["{name}"]\n', encoding="utf-8")
    assert findings() == [("profile-cardinality", "MedicationKnowledge")]


def test_json_lists_what_must_be_supported() -> None:
    listed = json.loads(run("--format=json", "--profile", FORMULARY).stdout)["mustSupport"]
    assert listed == [
        {
            "profile": f"{URL}formulary-drug",
            "type": "MedicationKnowledge",
            "elements": [
                "MedicationKnowledge.code",
                "MedicationKnowledge.code.coding:rxnorm",
                "MedicationKnowledge.status",
            ],
        }
    ]
    assert "mustSupport" not in json.loads(run("--format=json").stdout)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--profile", "nowhere.json"], "nowhere.json"),
        (["--profile", f"{URL}unheard-of"], "unheard-of is not at hand"),
        (["--profile", f"{URL}orphan", "--package", str(DEFINITIONS)], "nowhere, the base of .*orphan, is not at hand"),
        (["--package", "nowhere"], "neither a folder nor a package"),
    ],
)
def test_a_profile_that_cannot_be_used_ends_with_status_2(arguments: list[str], said: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert not result.stdout
    import re

    assert re.search(said, result.stderr)


def test_several_processes_find_the_same(tmp_path: Path) -> None:
    padding = {
        "text": {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{"x" * 2_500_000}</div>'}
    }
    Path("many").mkdir()
    for number in range(2):
        Path(f"many/{number}.json").write_text(json.dumps({**DRUG, **padding}))
    arguments = ["validate", "many", "--format=json", "--quiet", "--jobs=2", "--profile", FORMULARY]
    result = CliRunner().invoke(main, arguments)
    assert [each["rule"] for each in json.loads(result.stdout)["findings"]] == ["profile-cardinality"] * 2


def test_a_target_in_the_folder_is_checked_against_its_profile() -> None:
    base = "http://hl7.org/fhir/StructureDefinition/"

    def profile(name: str, kind: str, *elements: dict[str, Any]) -> dict[str, Any]:
        made = {
            "resourceType": "StructureDefinition",
            "url": URL + name,
            "name": name,
            "type": kind,
            "fhirVersion": "4.0.1",
        }
        return {
            **made,
            "derivation": "constraint",
            "baseDefinition": base + kind,
            "differential": {"element": list(elements)},
        }

    target = {"code": "Reference", "targetProfile": [f"{URL}named"]}
    Path("definitions").mkdir()
    for one in (
        profile("named", "Organization", {"path": "Organization.name", "min": 1}),
        profile("of-named", "Patient", {"path": "Patient.managingOrganization", "type": [target]}),
    ):
        Path(f"definitions/{one['name']}.json").write_text(json.dumps(one))
    Path("many").mkdir()
    resources: list[dict[str, Any]] = [
        {"resourceType": "Organization", "id": "1", "name": "Acme"},
        {"resourceType": "Organization", "id": "2", "identifier": [{"value": "2"}]},
        *(
            {"resourceType": "Patient", "id": str(n), "managingOrganization": {"reference": f"Organization/{n}"}}
            for n in (1, 2)
        ),
    ]
    Path("many/all.ndjson").write_text("".join(json.dumps(one) + "\n" for one in resources))
    arguments = [
        "--package=definitions",
        f"--profile={URL}of-named",
        "--disable=dom-6",
        "--format=json",
        "--fhir-version=R4",
    ]
    result = CliRunner().invoke(main, ["validate", "many", *arguments])
    report = json.loads(result.stdout)
    assert [(each["rule"], each["line"], each["expression"]) for each in report["findings"]] == [
        ("profile-reference", 4, "Patient.managingOrganization.reference")
    ]
    assert [each["unchecked"] for each in report["checked"]] == [[], [], [], []]
    alone = json.loads(CliRunner().invoke(main, ["validate", "many/all.ndjson", *arguments]).stdout)
    assert alone["findings"] == []
    assert [len(each["unchecked"]) for each in alone["checked"]] == [0, 0, 1, 1]


def test_what_was_asked_for_and_met_nothing_is_told() -> None:
    Path("drug.json").write_text(json.dumps({"resourceType": "Medication", "status": "active"}))
    result = run("--profile", FORMULARY, "--format=json")
    assert (result.exit_code, json.loads(result.stdout)["idleProfiles"]) == (0, [f"{URL}formulary-drug"])
    assert f"nothing was checked against {URL}formulary-drug" in run("--profile", FORMULARY).stderr
    Path("drug.json").write_text(json.dumps(DRUG))
    assert "idleProfiles" not in json.loads(run("--profile", FORMULARY, "--format=json").stdout)
    assert "nothing was checked" not in run("--profile", FORMULARY).stderr


@pytest.mark.parametrize("claims", [False, True])
def test_a_profile_of_another_release_is_an_error_where_it_was_asked_for(claims: bool) -> None:
    claim = {"meta": {"profile": [f"{URL}formulary-drug"]}} if claims else {}
    Path("drug.json").write_text(json.dumps({**DRUG, **claim}))
    asked = ["--profile", FORMULARY, "--fhir-version=R5"]
    told = [("profile-unknown", "MedicationKnowledge.meta.profile[0]")] if claims else []
    assert findings(*asked) == [("profile-unusable", "MedicationKnowledge"), *told]
    assert run(*asked).exit_code == 1
    assert run("--package", str(DEFINITIONS), "--fhir-version=R5").exit_code == 0
