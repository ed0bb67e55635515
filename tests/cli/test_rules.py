"""`apothecary rules` lists every rule, and `apothecary explain` tells what is behind each."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner

from apothecary.cli import main
from apothecary.cli.rules import all_rules
from apothecary.content.documents import READING_RULES
from apothecary.fhir.releases import FhirVersion
from apothecary.validation import RULES
from apothecary.validation.catalogue import invariants
from scripts.rules_page import page

IDS = {*READING_RULES, *RULES, *(key for version in FhirVersion for key in invariants(version))}


def run(*arguments: str) -> str:
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_every_rule_is_listed_once_with_its_severity_and_a_sentence() -> None:
    lines = [line.split(maxsplit=2) for line in run("rules").splitlines()]
    assert sorted(line[0] for line in lines) == sorted(IDS)
    assert {line[1] for line in lines} == {"fatal", "error", "warning", "information"}
    assert ["dom-6", "warning", "A resource should have narrative for robust management"] in lines
    assert all(len(line) == 3 for line in lines)


def test_scripts_get_the_same_as_json() -> None:
    listed: list[dict[str, Any]] = json.loads(run("rules", "--format=json"))
    assert {one["id"] for one in listed} == IDS
    assert {one["group"] for one in listed} == {"Reading", "FHIR", "Profiles", "Medications", "Invariants"}
    assert all(one[key] for one in listed for key in ("severity", "code", "what", "why", "example", "remedy"))
    found = {one["id"]: one["releases"] for one in listed}
    assert found["ndc-format"] == ["R4", "R4B", "R5"]
    assert found["cnl-1"] == ["R5"]


def test_every_rule_is_explained() -> None:
    for rule, listed in all_rules().items():
        text = run("explain", rule)
        assert text.startswith(f"# {rule}\n\n{listed.rule.what[:20]}")
        assert listed.rule.remedy in text
        assert f"\n{listed.rule.example}\n" in text


def test_an_explanation_is_what_the_page_of_the_rules_says() -> None:
    for rule in RULES:
        section = run("explain", rule).removeprefix(f"# {rule}").partition("\n\nSwitch it off")[0]
        section = section.partition("\n\nAsked only")[0].partition("\n\nIt cannot be")[0]
        assert f"### {rule}{section}\n" in page()


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("dom-6", 'Switch it off with --disable dom-6, or in the configuration: disable = ["dom-6"]'),
        ("ele-1", "It is checked by the rule empty-object"),
        ("ele-1", "Switch it off with --disable empty-object"),
        ("ele-1", "In R4B: All FHIR elements must have a @value or children unless an empty Parameters resource"),
        ("cnl-1", "An invariant of FHIR R5."),
        ("json-syntax", "It cannot be switched off"),
        ("yaml-alias", "```yaml"),
        ("profile-slice", "Asked only where profiles are given"),
    ],
)
def test_an_explanation_says_when_the_rule_counts_and_how_to_switch_it_off(rule: str, said: str) -> None:
    assert said in run("explain", rule)


def test_a_rule_that_does_not_exist_ends_with_status_2_and_no_guess_where_none_is_near() -> None:
    result = CliRunner().invoke(main, ["explain", "zzzzzzzz"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "Error: there is no rule 'zzzzzzzz'; apothecary rules lists them all\n"
