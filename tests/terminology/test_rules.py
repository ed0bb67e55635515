"""Code systems by rule, and hierarchies by form, over both databases and in all releases."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from apothecary.settings import Settings
from tests.conformance.harness import InProcess, serving, write_content
from tests.databases import session_database

ICD, ATC = "http://hl7.org/fhir/sid/icd-10-cm", "http://www.whocc.no/atc"
# Codes of conditions; what is indicated for any part of an illness is found with it.
CODES = ["G40", "G40.4", "G40.82", "G40.919", "G40.A", "G41", "F10.23", "G409"]
DRUGS = ["N05", "N05BA", "N05BA01", "N06"]


def system(url: str, codes: list[str], **more: Any) -> dict[str, Any]:
    listed = {"concept": [{"code": one} for one in codes]} if codes else {}
    return {
        "resourceType": "CodeSystem", "id": url.rsplit("/", 1)[-1], "url": url, "status": "active",
        "content": "fragment", "caseSensitive": True, **listed, **more,
    }  # fmt: skip


def condition(url: str, code: str) -> dict[str, Any]:
    return {
        "resourceType": "Basic", "id": code.replace(".", "-"), "code": {"coding": [{"system": url, "code": code}]},
    }  # fmt: skip


GROUPED = {"code": "F10.23", "property": [{"code": "parent", "valueCode": "G41"}]}
RESOURCES = [
    system(ICD, [], concept=[*({"code": one} for one in CODES[:6]), GROUPED]),
    system("http://ex.org/own", ["a", "b"], content="complete", valueSet="http://ex.org/own?fhir_vs"),
    system("http://unitsofmeasure.org", [], content="not-present", id="ucum"),
    *(condition(ICD, one) for one in CODES),
    *(condition(ATC, one) for one in DRUGS),
    condition("urn:ietf:bcp:47", "de-CH"),
]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    content = tmp_path_factory.mktemp("content")
    write_content(content, RESOURCES)
    with (
        session_database(request, tmp_path_factory) as url,
        serving(Settings(database=url, content=str(content), resource_types="*")) as made,
    ):
        yield made


@pytest.mark.parametrize("release", ["r4", "r4b", "r5"])
@pytest.mark.parametrize(("modifier", "url", "code", "right"), [
    ("below", ICD, "G40", ["G40", "G40-4", "G40-82", "G40-919", "G40-A"]),
    ("below", ICD, "G40.9", ["G40-919"]),
    ("above", ICD, "G40.909", ["G40"]),
    ("above", ICD, "G40.828", ["G40", "G40-82"]),
    ("above", ICD, "F10.23", ["F10-23", "G41"]),
    ("below", ICD, "G41", ["F10-23", "G41"]),
    ("below", ATC, "N05", ["N05", "N05BA", "N05BA01"]),
    ("above", ATC, "N05BA17", ["N05", "N05BA"]),
    ("below", "urn:ietf:bcp:47", "DE", ["de-CH"]),
])  # fmt: skip
def test_a_search_knows_what_stands_above_and_below_by_form(
    server: InProcess, release: str, modifier: str, url: str, code: str, right: list[str]
) -> None:
    answer = server.ask("GET", f"/fhir/{release}/Basic?code:{modifier}={quote(url)}|{code}")
    assert answer.status == 200, answer.body
    found = [one["resource"] for one in answer.json.get("entry", []) if one["search"]["mode"] == "match"]
    assert sorted(one["id"] for one in found) == right


def test_a_code_that_is_not_written_as_one_is_refused(server: InProcess) -> None:
    answer = server.ask("GET", f"/fhir/r5/Basic?code:below={quote(ICD)}|G40909")
    assert answer.status == 400
    assert "G40909" in answer.body.decode()


@pytest.mark.parametrize(("url", "a", "b", "outcome"), [
    (ICD, "G40", "G40.909", "subsumes"),
    (ICD, "G40.909", "G40", "subsumed-by"),
    (ICD, "G40.4", "G40.919", "not-subsumed"),
    (ATC, "N05", "N05BA17", "subsumes"),
    ("http://hl7.org/fhir/sid/ndc", "0004-0091", "00004-0091-01", "subsumes"),
    ("http://hl7.org/fhir/sid/ndc", "0004-0091-01", "00004009101", "equivalent"),
    ("urn:ietf:bcp:47", "de", "de-CH", "subsumes"),
    ("urn:ietf:bcp:13", "text/xml", "text/xml; charset=utf-8", "subsumes"),
])  # fmt: skip
def test_subsumption_follows_the_form(server: InProcess, url: str, a: str, b: str, outcome: str) -> None:
    question = f"system={quote(url)}&codeA={quote(a)}&codeB={quote(b)}"
    answer = server.ask("GET", f"/fhir/r5/CodeSystem/$subsumes?{question}")
    assert answer.status == 200, answer.body
    assert answer.json["parameter"] == [{"name": "outcome", "valueCode": outcome}]


def validated(server: InProcess, question: str) -> dict[str, Any]:
    answer = server.ask("GET", f"/fhir/r5/{question}")
    assert answer.status == 200, answer.body
    return {one["name"]: one for one in answer.json["parameter"]}


@pytest.mark.parametrize(("url", "code", "right"), [
    ("http://unitsofmeasure.org", "mg/dL", True),
    ("http://unitsofmeasure.org", "mgs", False),
    ("urn:ietf:bcp:47", "de-CH", True),
    ("urn:ietf:bcp:47", "xx-YY", False),
    ("urn:ietf:bcp:47", "de_CH", False),
    ("urn:ietf:bcp:13", "application/fhir+json", True),
    ("urn:ietf:bcp:13", "fhir", False),
    ("urn:iso:std:iso:3166", "CH", True),
    ("urn:iso:std:iso:3166", "XX", False),
    ("urn:iso:std:iso:4217", "CHF", True),
    ("urn:iso:std:iso:4217", "FRANC", False),
    # What nobody here holds is refused by name, whatever its form.
    (ATC, "N05BA01", False),
    # What a part of it lacks may be in another part, but not what is no code by its form.
    (ICD, "G40.909", True),
    (ICD, "G40909", False),
])  # fmt: skip
def test_a_rule_says_what_is_a_code(server: InProcess, url: str, code: str, right: bool) -> None:
    found = validated(server, f"CodeSystem/$validate-code?url={quote(url)}&code={quote(code, '')}")
    assert found["result"]["valueBoolean"] is right
    if url in (ATC, ICD):
        assert "issues" in found


@pytest.mark.parametrize(("value_set", "url", "code", "right"), [
    ("http://unitsofmeasure.org/vs", "http://unitsofmeasure.org", "mg", True),
    ("http://hl7.org/fhir/ValueSet/ucum-units", "http://unitsofmeasure.org", "mgs", False),
    ("http://hl7.org/fhir/ValueSet/mimetypes", "urn:ietf:bcp:13", "text/xml", True),
    ("http://hl7.org/fhir/ValueSet/all-languages", "urn:ietf:bcp:47", "xx-YY", False),
    ("http://ex.org/own?fhir_vs", "http://ex.org/own", "a", True),
    ("http://ex.org/own?fhir_vs", "http://ex.org/own", "c", False),
])  # fmt: skip
def test_a_system_has_a_value_set_of_all_its_codes(
    server: InProcess, value_set: str, url: str, code: str, right: bool
) -> None:
    question = f"url={quote(value_set, '')}&system={quote(url)}&code={quote(code, '')}"
    assert validated(server, f"ValueSet/$validate-code?{question}")["result"]["valueBoolean"] is right


def test_codes_without_end_are_not_listed(server: InProcess) -> None:
    answer = server.ask("GET", "/fhir/r5/ValueSet/$expand?url=http://unitsofmeasure.org/vs")
    assert 400 <= answer.status < 500
    assert "no end" in answer.body.decode()


def test_a_system_that_names_no_such_value_set_has_none(server: InProcess) -> None:
    answer = server.ask("GET", f"/fhir/r5/ValueSet/$expand?url={quote(ICD)}%3Ffhir_vs")
    assert answer.status == 404
