"""Conversions are remembered within a limit, and what is only approximate is tagged where it is shown, never stored."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from apothecary.fhir.json import dumps, parse
from apothecary.fhir.releases import FhirVersion
from apothecary.interactions import forms
from apothecary.interactions.forms import APPROXIMATE, Conversions, in_version, untagged

R4, R4B, R5 = FhirVersion.R4, FhirVersion.R4B, FhirVersion.R5
DRAFT = {
    "resourceType": "Composition",
    "id": "draft",
    "status": "registered",
    "type": {"text": "t"},
    "date": "2026-01-01",
    "author": [{"display": "a"}],
    "title": "t",
}


def medication(name: str) -> bytes:
    return dumps({"resourceType": "Medication", "id": name, "doseForm": {"text": name}})


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of the resources that were really converted, in order."""
    done: list[str] = []

    def counting(resource: forms.JSON, source: FhirVersion, target: FhirVersion) -> forms.JSON:
        done.append(resource["id"])
        return in_version(resource, source, target)

    monkeypatch.setattr(forms, "in_version", counting)
    return done


def test_a_text_is_converted_once_for_each_version(counted: list[str]) -> None:
    known = Conversions()
    for _ in range(3):
        assert parse(known.get(medication("a"), R5, R4))["form"] == {"text": "a"}
    assert counted == ["a"]
    known.get(medication("a"), R5, R4B)
    assert counted == ["a", "a"]


def test_the_same_text_in_another_version_is_another_resource() -> None:
    known = Conversions()
    text = dumps({"resourceType": "MedicationKnowledge", "kinetics": [{"halfLifePeriod": {"value": 20, "unit": "h"}}]})
    assert b"http://hl7.org/fhir/4.0/StructureDefinition/extension-" in known.get(text, R4, R5)
    assert b"http://hl7.org/fhir/4.3/StructureDefinition/extension-" in known.get(text, R4B, R5)


def test_what_was_used_longest_ago_is_forgotten_first(counted: list[str]) -> None:
    one = len(medication("a")) + len(dumps(in_version(parse(medication("a")), R5, R4)))
    known = Conversions(limit=2 * one)
    for name in ("a", "b", "a", "c", "a", "b"):
        known.get(medication(name), R5, R4)
    assert counted == ["a", "b", "c", "b"]


def test_threads_that_convert_the_same_text_do_not_fill_the_memory_twice() -> None:
    one = len(medication("a")) + len(dumps(in_version(parse(medication("a")), R5, R4)))
    known = Conversions(limit=4 * one)
    with ThreadPoolExecutor(8) as pool:
        for name in ("a", "b", "c"):
            list(pool.map(lambda _, n=name: known.get(medication(n), R5, R4), range(32)))
    assert known.size == 3 * one


def test_an_approximation_is_tagged_and_an_exact_conversion_is_not() -> None:
    shown = in_version(DRAFT, R5, R4)
    assert shown["meta"]["tag"] == [APPROXIMATE]
    assert list(shown)[:3] == ["resourceType", "id", "meta"]
    assert "meta" not in in_version(parse(medication("a")), R5, R4)
    assert in_version(DRAFT, R5, R5) is DRAFT


def test_the_way_back_is_exact_and_carries_no_tag() -> None:
    assert in_version(in_version(DRAFT, R5, R4), R4, R5) == DRAFT


def test_only_the_tag_of_a_conversion_is_taken_off() -> None:
    mine = {"system": "urn:mine", "code": "approximate"}
    tagged = DRAFT | {"meta": {"versionId": "3", "tag": [mine, APPROXIMATE]}}
    assert untagged(tagged)["meta"] == {"versionId": "3", "tag": [mine]}
    assert "meta" not in untagged(DRAFT | {"meta": {"tag": [APPROXIMATE]}})
    assert untagged(DRAFT) is DRAFT
