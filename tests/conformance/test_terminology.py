"""Searches by value sets, hierarchies of codes, and drug codes: https://hl7.org/fhir/R5/search.html#token"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.harness import BASE, Answer, InProcess, problems, table, told
from tests.conformance.terminology import start

SEARCHES = [(query, found) for section in table("terminology.yaml").values() for query, found in section.items()]
LOCAL = "http://ex.org/local"


@pytest.mark.parametrize(("query", "expected"), SEARCHES, ids=lambda value: value if isinstance(value, str) else "")
def test_a_search_finds_exactly_what_the_table_says(terms: InProcess, query: str, expected: Any) -> None:
    answer = terms.ask("GET", f"{BASE}/{query}".replace("{base}", terms.address + BASE))
    if isinstance(expected, list):
        assert answer.status == 200, answer.body
        assert sorted(answer.ids) == sorted(expected)
    else:
        assert answer.status == 400, answer.body
        issue = problems(answer)[0]
        assert issue["expression"] == [expected["refused"]]
        assert expected["says"] in told(issue)


def outcomes(answer: Answer) -> list[dict[str, Any]]:
    """The issues that an answer carries beside its matches."""
    entries = [one["resource"] for one in answer.json.get("entry", ()) if one["search"]["mode"] == "outcome"]
    return [issue for one in entries for issue in one["issue"]]


@pytest.mark.parametrize(("query", "warned"), [
    ("ingredient-code:in=http://ex.org/vs/salty", True),
    ("ingredient-code:below=http://ex.org/salts|NA", True),
    ("ingredient-code:in=http://ex.org/vs/opioids", False),
    ("ingredient-code:below=http://ex.org/substances|codeine", False),
])  # fmt: skip
def test_an_answer_from_a_part_of_a_code_system_says_so(terms: InProcess, query: str, warned: bool) -> None:
    for _ in range(2):  # the second answer comes from what was worked out for the first
        found = outcomes(terms.ask("GET", f"{BASE}/Medication?{query}"))
        assert any(one["code"] == "incomplete" and "http://ex.org/salts" in told(one) for one in found) is warned


def medication(identity: str, code: str, system: str = LOCAL) -> dict[str, Any]:
    return {"resourceType": "Medication", "id": identity, "code": {"coding": [{"system": system, "code": code}]}}


def listing(*codes: str, system: str = LOCAL) -> dict[str, Any]:
    include = {"system": system, "concept": [{"code": code} for code in codes]}
    compose = {"include": [include]}
    return {"resourceType": "ValueSet", "id": "l", "url": "http://ex.org/l", "status": "active", "compose": compose}


def put(server: InProcess, resource: dict[str, Any]) -> None:
    address = f"{BASE}/{resource['resourceType']}/{resource['id']}"
    answer = server.ask("PUT", address, {"Content-Type": "application/fhir+json"}, json.dumps(resource))
    assert answer.status in (200, 201), answer.body


def test_a_change_of_a_value_set_or_code_system_is_seen_by_the_next_search(database_url: str, tmp_path: Path) -> None:
    server = start(database_url, tmp_path, [medication("a", "A"), medication("b", "B"), listing("A")])
    by_set, below = f"{BASE}/Medication?code:in=http://ex.org/l", f"{BASE}/Medication?code:below={LOCAL}|A"
    assert server.ask("GET", by_set).ids == ["a"]
    assert server.ask("GET", below).status == 400
    put(server, listing("B"))
    assert server.ask("GET", by_set).ids == ["b"]
    concept = {"code": "A", "concept": [{"code": "B"}]}
    system = {"resourceType": "CodeSystem", "id": "s", "url": LOCAL, "status": "active", "content": "complete"}
    put(server, system | {"concept": [concept]})
    assert server.ask("GET", below).ids == ["a", "b"]
    assert server.ask("DELETE", f"{BASE}/ValueSet/l").status in (200, 204)
    assert server.ask("GET", by_set).status == 400
    server.store.close()


def test_a_value_set_of_a_transaction_that_failed_is_never_seen(database_url: str, tmp_path: Path) -> None:
    server = start(database_url, tmp_path, [medication("a", "A"), medication("b", "B"), listing("A")])
    entries = [
        {"resource": listing("B"), "request": {"method": "PUT", "url": "ValueSet/l"}},
        {"request": {"method": "GET", "url": "Medication?code:in=http://ex.org/l"}},
        {"request": {"method": "GET", "url": "Medication/lost"}},
    ]
    bundle = json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert server.ask("POST", BASE, {"Content-Type": "application/fhir+json"}, bundle).status == 404
    assert server.ask("GET", f"{BASE}/Medication?code:in=http://ex.org/l").ids == ["a"]
    put(server, listing("A", "B"))
    assert server.ask("GET", f"{BASE}/Medication?code:in=http://ex.org/l").ids == ["a", "b"]
    server.store.close()


def test_a_value_set_of_many_thousand_codes_finds_all_of_its_codes_and_no_others(
    database_url: str, tmp_path: Path
) -> None:
    many = [f"C{number}" for number in range(12_000)]
    content = [medication("first", "C0"), medication("last", "C11999"), medication("other", "C12000"), listing(*many)]
    server = start(database_url, tmp_path, content)
    assert server.ask("GET", f"{BASE}/Medication?code:in=http://ex.org/l").ids == ["first", "last"]
    assert server.ask("GET", f"{BASE}/Medication?code:not-in=http://ex.org/l").ids == ["other"]
    assert server.ask("GET", f"{BASE}/Medication?code:in=http://ex.org/l&_sort=-_id").ids == ["last", "first"]
    server.store.close()


def test_what_a_code_system_of_the_content_says_of_case_holds_after_the_next_sync(
    database_url: str, tmp_path: Path
) -> None:
    drugs = [medication("upper", "AB"), medication("lower", "ab")]
    system = {"resourceType": "CodeSystem", "id": "s", "url": LOCAL, "status": "active", "content": "not-present"}
    # Where nobody says whether case counts, it does not.
    for content, found in (
        (drugs, ["lower", "upper"]),
        ([*drugs, system | {"caseSensitive": True}], ["upper"]),
        ([*drugs, system | {"caseSensitive": False}], ["lower", "upper"]),
        ([*drugs, system | {"caseSensitive": True}], ["upper"]),
        (drugs, ["lower", "upper"]),
    ):
        server = start(database_url, tmp_path, content)
        assert server.ask("GET", f"{BASE}/Medication?code={LOCAL}|AB").ids == found
        assert server.ask("GET", f"{BASE}/Medication?code=AB").ids == found
        server.store.close()


def test_an_ndc_without_hyphens_in_the_content_is_found_in_each_way_it_can_be_read(
    database_url: str, tmp_path: Path
) -> None:
    ndc = "http://hl7.org/fhir/sid/ndc"
    server = start(database_url, tmp_path, [medication("m", "0574407205", ndc)])
    for written in ("0574407205", "0574-4072-05", "05744-072-05", "05744-0720-5", "00574407205"):
        assert server.ask("GET", f"{BASE}/Medication?code={ndc}|{written}").ids == ["m"], written
    assert server.ask("GET", f"{BASE}/Medication?code={ndc}|0574-4072-06").ids == []
    server.store.close()
