"""What is not checked is told to whoever asks for the coverage."""

from typing import Any

import pytest

from apothecary.fhir.releases import FhirVersion
from apothecary.validation import Options, validate
from apothecary.validation.options import Coverage

RESPONSE = {"resourceType": "QuestionnaireResponse", "status": "completed"}
REPORT = {"resourceType": "MeasureReport", "status": "complete", "type": "summary", "period": {"start": "2020"}}


def unchecked(resource: dict[str, Any], version: FhirVersion) -> list[str]:
    coverage = Coverage()
    validate(resource, version, options=Options(coverage=coverage))
    return list(coverage.unchecked)


@pytest.mark.parametrize("version", tuple(FhirVersion))
@pytest.mark.parametrize(("resource", "element"), [(RESPONSE, "questionnaire"), (REPORT, "measure")])
def test_answers_are_told_as_not_compared_with_what_they_answer(
    resource: dict[str, Any], element: str, version: FhirVersion
) -> None:
    url = "http://example.org/fhir/asked|1"
    answering = {**resource, element: url}
    assert [one for one in unchecked(answering, version) if url in one and resource["resourceType"] in one]
    inside = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": answering}]}
    assert [one for one in unchecked(inside, version) if url in one]
    assert unchecked(resource, version) == []


@pytest.mark.parametrize("wrong", [1, None, ["http://example.org/a"], {}])
def test_a_name_of_the_wrong_type_is_no_trouble(wrong: Any) -> None:
    assert unchecked({**RESPONSE, "questionnaire": wrong}, FhirVersion.R5) == []
