"""A resource that was checked as one of the wrong release is told from one that is broken."""

from __future__ import annotations

from typing import Any

import pytest
from click.testing import CliRunner

from apothecary import validate
from apothecary.cli import main
from apothecary.fhir.json import dumps
from apothecary.fhir.releases import FhirVersion
from apothecary.validation import Options
from apothecary.validation.other_release import release_hint
from tests.validation.corpus import vendored

# Elements that only one release has, or has in this form.
OF_R4: dict[str, Any] = {
    "resourceType": "MedicationRequest",
    "status": "active",
    "intent": "order",
    "medicationCodeableConcept": {"text": "x"},
    "subject": {"reference": "Patient/1"},
}
OF_R5: dict[str, Any] = {
    **{name: value for name, value in OF_R4.items() if name != "medicationCodeableConcept"},
    "medication": {"concept": {"text": "x"}},
}


def hints(resource: Any, release: str, **more: Any) -> list[str | None]:
    return [issue.remedy for issue in validate(resource, release, **more) if issue.rule == "other-release"]


@pytest.mark.parametrize(
    ("resource", "release", "better"),
    [
        (OF_R4, "R5", "R4"),
        (OF_R5, "R4", "R5"),
        (OF_R5, "R4B", "R5"),
        ({"resourceType": "MedicinalProduct", "name": [{"productName": "x"}]}, "R5", "R4"),
        ({"resourceType": "Bundle", "type": "collection", "entry": [{"resource": OF_R4}] * 30}, "R5", "R4"),
    ],
)
def test_the_release_that_fits_is_named(resource: Any, release: str, better: str) -> None:
    assert hints(resource, release) == [f"Check it as {better}: --fhir-version {better}."]
    assert hints(resource, better) == []


@pytest.mark.parametrize(
    "resource",
    [
        {**OF_R5, "status": "actve"},
        {**OF_R5, "stauts": "active"},
        {**OF_R5, "subject": {"reference": "Medication/1"}},
        {**OF_R5, "medicationCodeableConcept": {"text": "x"}, "subjekt": {}},
        {"resourceType": "Medicaton"},
        {},
    ],
    ids=str,
)
def test_a_mistake_in_every_release_is_no_hint(resource: Any) -> None:
    assert validate(resource, "R5") != []
    assert hints(resource, "R5") == []


def test_no_vendored_example_looks_like_another_release() -> None:
    from apothecary.validation import validate as check

    for version, name, resource in vendored():
        options = Options()
        assert release_hint(resource, version, check(resource, version, options=options), options) is None, name


def test_it_is_a_rule_like_others(tmp_path: Any) -> None:
    assert hints(OF_R4, "R5", disabled=["other-release"]) == []
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_bytes(dumps(OF_R4))
    arguments = ["validate", str(tmp_path), "--format=json", "--quiet", "--disable=dom-6", "--no-references"]
    result = CliRunner().invoke(main, arguments)
    assert result.stdout.count('"rule": "other-release"') == 2
    assert FhirVersion.R4 in result.stdout
    assert CliRunner().invoke(main, [*arguments, "--fhir-version=R4"]).exit_code == 0
