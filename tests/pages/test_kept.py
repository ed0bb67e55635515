"""What is kept of pages saves work and changes none of them: a page is what it would be if it were made anew."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from markupsafe import Markup

from apothecary.app import Apothecary
from apothecary.pages.fitting import fitting, short
from tests.conformance.harness import ROOT
from tests.pages.test_pages import HTML, XHTML, Page, page
from tests.rest.test_limits import serving
from tests.store.test_spelling import put

DRUG = "/fhir/MedicationKnowledge/d"


MANY = [{"reference": f"MedicationKnowledge/x{number}"} for number in range(5000)]


def drug(**more: Any) -> dict[str, Any]:
    return {
        "resourceType": "MedicationKnowledge",
        "id": "d",
        "status": "active",
        "code": {"text": "Examplamine"},
        **more,
    }


def statement(identity: str, said: str, kind: str = "indication", **more: Any) -> dict[str, Any]:
    element = {"diseaseSymptomProcedure": {"concept": {"text": said}}}
    made = {"resourceType": "ClinicalUseDefinition", "id": identity, "type": kind, kind: element}
    return made | {"subject": [{"reference": "Medication/m"}]} | more


def assessment(identity: str, title: str, about: str) -> dict[str, Any]:
    return {
        **{"resourceType": "ArtifactAssessment", "id": identity, "title": title},
        "artifactReference": {"reference": about},
        "content": [{"informationType": "comment", "summary": "Hm."}],
    }


MEDICATION = {"resourceType": "Medication", "id": "m", "code": {"text": "Examplamine 5 mg"}}
STRONG = {"resourceType": "MedicationKnowledge", "id": "strong", "status": "active", "code": {"text": "Strong one"}}


@pytest.fixture(params=[0, 64 * 1024 * 1024], ids=["computed", "given again"])
def client(emptied_url: str, request: pytest.FixtureRequest) -> Iterator[FlaskClient]:
    with serving(emptied_url, cache_bytes=request.param, references="allowed") as made:
        yield made


def application(client: FlaskClient) -> Apothecary:
    assert isinstance(client.application, Apothecary)
    return client.application


def hits(client: FlaskClient) -> int:
    found = re.search(r'apothecary_cache_requests_total{result="hit"} (\d+)', client.get("/metrics").text)
    assert found is not None
    return int(found[1])


def write(client: FlaskClient, resource: dict[str, Any]) -> None:
    answer = client.put(f"/fhir/{resource['resourceType']}/{resource['id']}", json=resource)
    assert answer.status_code in (200, 201), answer.text


def test_a_page_is_made_anew_when_anything_changed_that_it_shows(client: FlaskClient) -> None:
    related = [{"type": {"text": "strength"}, "reference": [{"reference": "MedicationKnowledge/strong"}]}]
    steps: list[tuple[dict[str, Any] | str, str]] = [
        (MEDICATION, "Examplamine"),
        (drug(associatedMedication=[{"reference": "Medication/m"}]), "No use is recorded"),
        (statement("one", "Itch"), "Itch"),
        (statement("two", "Cough", "contraindication"), "Contraindications"),
        (statement("one", "Severe itch"), "Severe itch"),
        (assessment("a", "Is it so?", "ClinicalUseDefinition/one"), "Is it so?"),
        (assessment("a", "Is it really so?", "ClinicalUseDefinition/one"), "Is it really so?"),
        (assessment("b", "What is it?", "MedicationKnowledge/d"), "What is it?"),
        # The product is named before it is there.
        (drug(associatedMedication=[{"reference": "Medication/m"}], relatedMedicationKnowledge=related), "is it?"),
        (STRONG, "Strong one"),
        (STRONG | {"code": {"text": "Stronger one"}}, "Stronger one"),
        ("ClinicalUseDefinition/two", "Nothing is recorded here about contraindications"),
        ("ArtifactAssessment/b", "Severe itch"),
        (drug(status="inactive"), "No use is recorded"),
    ]
    write(client, json.loads((ROOT / "resources/SearchParameter/ArtifactAssessment-artifact.json").read_text()))
    before = ""
    for step, said in steps:
        if isinstance(step, str):
            assert client.delete(f"/fhir/{step}").status_code in (200, 204)
        else:
            write(client, step)
        if client.get(DRUG).status_code == 404:
            continue
        first = client.get(DRUG, headers=HTML)
        again = client.get(DRUG, headers=HTML)
        application(client).service.pages.clear()
        anew = client.get(DRUG, headers={**HTML, "Accept-Language": "de"})
        assert said in Page(first.text).words, (said, Page(first.text).words)
        assert first.data == again.data == anew.data, step
        assert first.data.decode() != before, step
        before = first.data.decode()


def test_a_browser_that_has_an_older_page_is_sent_the_new_one(client: FlaskClient) -> None:
    write(client, MEDICATION)
    write(client, drug(associatedMedication=[{"reference": "Medication/m"}]))
    tag = client.get(DRUG, headers=HTML).headers["ETag"]
    asked = {**HTML, "If-None-Match": tag}
    assert client.get(DRUG, headers=asked).status_code == 304
    # The drug's own resource stays as it is.
    write(client, statement("one", "Itch"))
    answer = client.get(DRUG, headers=asked)
    assert (answer.status_code, "Itch" in answer.text) == (200, True)
    assert answer.headers["ETag"] != tag
    assert "Last-Modified" not in answer.headers
    # Programs are told of the resource, as ever.
    known = client.get(DRUG).headers["ETag"]
    assert client.get(DRUG, headers={"If-None-Match": known}).status_code == 304


def test_a_page_is_given_again_when_it_is_asked_for_the_second_time(tmp_path: Path) -> None:
    with serving(f"sqlite:///{tmp_path / 'a.db'}") as client:
        write(client, drug())
        for address in (DRUG, "/fhir/r4/MedicationKnowledge/d", "/fhir/MedicationKnowledge?_format=html", "/"):
            client.get(address, headers=HTML)
            before = hits(client)
            client.get(address, headers=HTML)
            assert hits(client) == before + 1, address


def test_a_stream_that_a_browser_asks_for_is_sent_as_it_is_made(client: FlaskClient) -> None:
    write(client, drug())
    for _ in range(3):
        answer = client.get("/fhir/MedicationKnowledge?_format=ndjson", headers=HTML, buffered=False)
        assert answer.is_streamed or len(answer.data.splitlines()) == 1
        assert [json.loads(line)["id"] for line in answer.data.splitlines()] == ["d"]


def test_a_drug_with_more_statements_than_a_page_holds_says_so_and_shows_what_is_denied(client: FlaskClient) -> None:
    write(client, MEDICATION)
    write(client, drug(associatedMedication=[{"reference": "Medication/m"}]))
    entries = [statement(f"u{number:03}", f"Use {number} " + "x" * 300) for number in range(200)]
    limit = {"category": [{"coding": [{"code": "limitation-of-use"}], "text": "Limitation"}]}
    entries.append(statement("z", "Not for migraine") | limit)
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [
        {"resource": one, "request": {"method": "PUT", "url": f"ClinicalUseDefinition/{one['id']}"}} for one in entries
    ]}  # fmt: skip
    assert client.post("/fhir", json=bundle).status_code == 200
    found = page(client, DRUG)
    answer = client.get(DRUG, headers=HTML)
    assert len(answer.data) < 100_000
    assert "There are more statements than this page has room for" in found.words
    assert "/fhir/ClinicalUseDefinition?subject=Medication%2Fm" in found.links
    assert "Not for migraine" in found.words


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("name", [f"Name {number}" for number in range(5000)]),
        ("intendedJurisdiction", [{"text": f"<b>{number}</b>"} for number in range(5000)]),
        ("code", {"coding": [{"system": "http://ex.org/c", "code": str(number)} for number in range(5000)]}),
        ("relatedMedicationKnowledge", [{"type": {"text": "x"}, "reference": MANY}]),
        ("text", {"status": "generated", "div": f"<div {XHTML}>{'<p>A &amp; <b>B</b></p>' * 20_000}</div>"}),
        ("name", ["&" * 200_000]),
        ("contained", [{"resourceType": "Organization", "id": f"o{number}", "name": "n"} for number in range(5000)]),
    ],
    ids=["names", "concepts", "codes", "references", "narrative", "text", "contained"],
)  # fmt: skip
def test_a_page_stays_small_whatever_its_resource_holds(tmp_path: Path, name: str, value: Any) -> None:
    with serving(f"sqlite:///{tmp_path / 'a.db'}") as client:
        put(application(client).service.store, drug() | {name: value})  # type: ignore[arg-type] # a store of SQL
        for address in (DRUG, "/fhir/r4/MedicationKnowledge/d", f"{DRUG}/_history", f"{DRUG}?_summary=data",
                        "/fhir/MedicationKnowledge"):  # fmt: skip
            answer = client.get(address, headers=HTML)
            assert answer.status_code == 200, (address, answer.text[:300])
            assert len(answer.data) < 100_000, address
            found = page(client, address)
            whole = address in (DRUG, "/fhir/r4/MedicationKnowledge/d")
            assert not whole or "_format=json" in " ".join(found.links)


STRANGE: list[dict[str, Any]] = [
    {"resourceType": "CodeSystem", "url": "http://ex.org/c", "concept": [None]},
    {"resourceType": "CodeSystem", "url": "http://ex.org/c", "concept": {"code": "a"}},
    {"resourceType": "ValueSet", "url": "http://ex.org/v", "compose": {"include": ["x"]}},
    {"resourceType": "ValueSet", "url": "http://ex.org/v", "expansion": {"contains": [7]}},
    {"resourceType": "MedicationKnowledge", "associatedMedication": ["x"]},
    {"resourceType": "MedicationKnowledge", "relatedMedicationKnowledge": [{"reference": [None]}]},
    {"resourceType": "MedicationKnowledge", "code": 1, "name": {}, "meta": [], "status": {}},
    {"resourceType": "ClinicalUseDefinition", "category": [None], "type": {}},
    {"resourceType": "Organization", "text": [], "meta": [], "name": {"a": [None]}, "active": []},
]


def test_what_was_loaded_in_a_strange_form_has_a_page(tmp_path: Path) -> None:
    with serving(f"sqlite:///{tmp_path / 'a.db'}") as client:
        for number, one in enumerate(STRANGE):
            put(application(client).service.store, one | {"id": f"x{number}"})  # type: ignore[arg-type] # the same
            kind = one["resourceType"]
            for address in (f"{kind}/x{number}", f"{kind}/x{number}/_history", f"{kind}?_id=x{number}"):
                page(client, f"/fhir/{address}")


def test_what_does_not_fit_is_counted_and_not_made() -> None:
    made: list[str] = []

    def make(key: str) -> str:
        made.append(key)
        return key * 4

    assert fitting(["a", "b", "c", "d"], make, 9, len) == (["aaaa", "bbbb"], 2)
    assert made == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("value", "cut"),
    [
        ("short", "short"),
        ("a" * 30, "a" * 20 + "…"),
        ("a" * 18 + "&amp;b", "a" * 18 + "…"),
        ("<ul><li>aa</li><li>bb</li><li>cc</li></ul>", '<ul><li>aa</li><li class="told">and 2 more</li></ul>'),
        ("<ul><li>" + "a" * 40 + "</li><li>bb</li></ul>", '<ul><li class="told">and 2 more</li></ul>'),
    ],
)
def test_a_value_is_cut_where_its_html_stays_whole(value: str, cut: str) -> None:
    assert str(short(Markup(value), 20)) == cut  # noqa: S704 (no page shows it)
