"""What the content says of each claim of its source, in R5, R4B and R4: the rows of `clonazepam_audit`."""

from __future__ import annotations

import re
from functools import cache
from html import unescape
from typing import Any

import pytest
from fhirpathpy import evaluate
from fhirpathpy.models import models

from apothecary.fhir.json import dumps
from apothecary.fhir.releases import FhirVersion
from apothecary.versions import convert
from tests.content.audit import Said
from tests.content.clonazepam_audit import AUDIT
from tests.content.monograph import CONTENT, Resource, claims, elements

CLAIMS = [f"S{number}" for number in range(1, 81)]
IDS = [f"{row.claim}-{number}" for number, row in enumerate(AUDIT)]


@cache
def in_release(place: str, release: str) -> Resource:
    """The resource at `place` as `release` has it."""
    return convert(CONTENT[place], FhirVersion.R5, FhirVersion(release)).resource


def plain(resource: Any) -> str:
    """The words of all narratives in a resource."""
    divs = [element["div"] for _, element in elements(resource) if "div" in element]
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", div)) for div in divs)


def spaced(text: str) -> str:
    return " ".join(text.split())


def test_the_audit_has_every_claim() -> None:
    assert {row.claim for row in AUDIT} == set(CLAIMS)


@pytest.mark.parametrize("row", AUDIT, ids=IDS)
def test_a_claim_is_said_where_it_belongs(row: Said) -> None:
    resource = CONTENT[row.place]
    assert f"clonazepam:{row.claim}" in claims(resource)
    assert evaluate(resource, row.holds, model=models["r5"]) == [True]


@pytest.mark.parametrize("release", ["R5", "R4B", "R4"])
@pytest.mark.parametrize("row", AUDIT, ids=IDS)
def test_a_claim_is_said_in_words_in_every_release(row: Said, release: str) -> None:
    resource = in_release(row.place, release)
    assert row.words in spaced(plain(resource))
    assert f'"clonazepam:{row.claim}"' in dumps(resource).decode()


@pytest.mark.parametrize("release", ["R4B", "R4"])
@pytest.mark.parametrize("row", [row for row in AUDIT if row.read], ids=lambda row: f"{row.claim}-{row.read[:20]}")
def test_a_use_can_be_read_in_the_medication_knowledge_of_an_older_release(row: Said, release: str) -> None:
    guidelines = in_release("MedicationKnowledge/clonazepam", release)["administrationGuidelines"]
    texts = [element["text"] for _, element in elements(guidelines) if isinstance(element.get("text"), str)]
    assert [text for text in texts if row.read in text]


@pytest.mark.parametrize("release", ["R4B", "R4"])
def test_the_population_of_a_use_can_be_read_in_an_older_release(release: str) -> None:
    guidelines = in_release("MedicationKnowledge/clonazepam", release)["administrationGuidelines"]
    found = {
        one["indicationCodeableConcept"]["text"].split(",")[0].split(";")[0]: one["patientCharacteristics"][0]["value"]
        for one in guidelines
        if "patientCharacteristics" in one
    }
    assert found.keys() == {
        "epilepsy in children",
        "certain rare epilepsies of childhood",
        "treatment-resistant epilepsy",
    }
    assert found["epilepsy in children"] == found["certain rare epilepsies of childhood"] == ["children"]


@pytest.mark.parametrize("release", ["R5", "R4B", "R4"])
def test_a_limitation_can_be_read_in_words_beside_its_link(release: str) -> None:
    text = dumps(in_release("MedicationKnowledge/clonazepam", release)).decode()
    for words in ("Not suitable for treating seizures over the long term", "Not effective against infantile spasms"):
        assert f'"display":"{words}"' in text


@pytest.mark.parametrize("release", ["R5", "R4B", "R4"])
@pytest.mark.parametrize("row", AUDIT, ids=IDS)
def test_the_monograph_says_every_claim_in_words(row: Said, release: str) -> None:
    assert row.words in spaced(plain(in_release("Composition/clonazepam-monograph", release)))
