"""The tables of `cases/` hold: each request gets the answer that stands beside it, on both databases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.conformance.harness import BASE, TYPES, Answer, InProcess, Server, fill, problems, served, table, told

SEARCHES = [(query, found) for section in table("searches.yaml").values() for query, found in section.items()]
REQUESTS = [case for section in table("requests.yaml").values() for case in section]
SMOKE = [case for case in REQUESTS if case.get("smoke")]


def title(case: Any) -> str:
    return case["request"] if isinstance(case, dict) else str(case)


@pytest.mark.parametrize(("query", "expected"), SEARCHES, ids=lambda value: value if isinstance(value, str) else "")
def test_a_search_finds_exactly_what_the_table_says(server: InProcess, query: str, expected: Any) -> None:
    answer = server.ask(
        "GET", f"{BASE}{'' if query.startswith('?') else '/'}{query}".replace("{base}", server.address + BASE)
    )
    if isinstance(expected, list):
        assert answer.status == 200, answer.body
        assert sorted(answer.ids) == sorted(expected)
        assert answer.json.get("total", 0) == len(expected)
    else:
        assert answer.status == 400, answer.body
        issue = problems(answer)[0]
        assert issue["severity"] == "error"
        assert issue["expression"] == [expected["refused"]], issue


@pytest.mark.parametrize("case", REQUESTS, ids=title)
def test_a_request_is_answered_as_the_table_says(server: InProcess, case: dict[str, Any]) -> None:
    check(server, case)


@pytest.mark.slow
def test_the_same_answers_come_over_real_http(database_url: str, tmp_path: Path) -> None:
    content = tmp_path / "content"
    fill(database_url, content).close()
    with served({"database": database_url, "content": str(content), "resource_types": TYPES}) as live:
        for case in SMOKE:
            check(live, case)


def check(server: Server, case: dict[str, Any]) -> None:
    """Send the request of a case and compare the answer with everything that the case expects."""
    method, _, path = case["request"].partition(" ")
    if not path.startswith("/"):
        path = f"{BASE}{'' if path.startswith('?') else '/'}{path}"
    answer = server.ask(method, path, case.get("headers"), case.get("body"))
    allowed = case["status"] if isinstance(case["status"], list) else [case["status"]]
    assert answer.status in allowed, (case, answer.body)
    if answer.status >= 400 and method != "HEAD":
        problems(answer)
    for name, wanted in case.get("header", {}).items():
        compare(answer.headers.get(name.lower()), wanted, name)
    if case.get("empty"):
        assert answer.body == b""
    if "text" in case:
        assert case["text"] in answer.body.decode()
    if "outcome" in case:
        check_outcome(answer, case["outcome"])
    for place, wanted in case.get("has", {}).items():
        wanted = wanted.replace("{base}", server.address + BASE) if isinstance(wanted, str) else wanted
        compare(at(answer.json, place), wanted, place)
    if "modes" in case:
        entries = [one for one in answer.json["entry"] if one["search"]["mode"] != "outcome"]
        assert {one["resource"]["id"]: one["search"]["mode"] for one in entries} == case["modes"]
        assert len(entries) == len(case["modes"])
    if "order" in case:
        assert answer.ids == case["order"]


def check_outcome(answer: Answer, expected: dict[str, str]) -> None:
    issue = problems(answer)[0]
    if "code" in expected:
        assert issue["code"] == expected["code"], issue
    if "expression" in expected:
        assert issue["expression"] == [expected["expression"]], issue
    assert expected.get("says", "") in told(issue)


def at(value: Any, place: str) -> Any:
    """What stands at a dotted path; None where nothing does."""
    for step in place.split("."):
        if isinstance(value, list):
            value = value[int(step)] if int(step) < len(value) else None
        else:
            value = value.get(step) if isinstance(value, dict) else None
    return value


def compare(found: Any, wanted: Any, what: str) -> None:
    """`~ text` asks for a part of the value, null for its absence."""
    if isinstance(wanted, str) and wanted.startswith("~ "):
        assert wanted[2:] in (found or ""), (what, found)
    else:
        assert found == wanted, (what, found)
