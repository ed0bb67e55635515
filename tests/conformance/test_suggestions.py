"""A slip in a search or an address is answered with what was probably meant."""

from __future__ import annotations

import json

import pytest

from apothecary.search.suggestions import COMMON
from tests.conformance.harness import BASE, Answer, InProcess, problems, table, told

CASES = table("suggestions.yaml")


def ask(server: InProcess, query: str, **headers: str) -> Answer:
    path = query if query.startswith("/") else f"{BASE}{'' if query.startswith('?') else '/'}{query}"
    return server.ask("GET", path, headers)


@pytest.mark.parametrize(("query", "meant"), CASES["lenient"].items(), ids=lambda value: value)
def test_a_warning_and_an_error_say_alike_what_was_meant(server: InProcess, query: str, meant: str) -> None:
    answer = ask(server, query)
    assert answer.status == 200, answer.body
    (entry,) = (one for one in answer.json["entry"] if one["search"]["mode"] == "outcome")
    (warning,) = entry["resource"]["issue"]
    assert warning["severity"] == "warning"
    strict = ask(server, query, Prefer="handling=strict")
    assert strict.status == 400
    (error,) = problems(strict)
    assert error["diagnostics"] == warning["diagnostics"]
    assert error["expression"] == warning["expression"]
    assert error["diagnostics"].startswith(meant)


@pytest.mark.parametrize(("query", "meant"), CASES["refused"].items(), ids=lambda value: value)
def test_what_is_always_refused_says_what_was_meant(server: InProcess, query: str, meant: str) -> None:
    answer = ask(server, query)
    assert answer.status in (400, 404), answer.body
    assert meant in told(problems(answer)[0])


@pytest.mark.parametrize(("path", "meant"), CASES["addresses"].items(), ids=str)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
def test_an_address_that_does_not_exist_says_which_was_meant(
    server: InProcess, method: str, path: str, meant: str | None
) -> None:
    answer = server.ask(method, path, {"Content-Type": "application/fhir+json"}, None if method == "GET" else "{}")
    if answer.status not in (404, 405):
        assert meant is None  # a body that is no resource, at an address that exists
        return
    said = problems(answer)[0].get("diagnostics", "")
    assert said == f"Did you mean {meant}?" if meant else "Did you mean" not in said


def test_what_was_meant_is_there(server: InProcess) -> None:
    for path in {one for one in CASES["addresses"].values() if one}:
        answer = server.ask("GET", path)
        assert answer.status == 200 or "does not exist" in told(problems(answer)[0]), path


def test_elements_that_do_not_exist_are_left_out_of_what_ran(server: InProcess) -> None:
    answer = ask(server, "Medication?_id=m-amox&_elements=statuss,code")
    assert answer.links["self"].endswith("Medication?_id=m-amox&_elements=code")
    assert "batch" not in answer.json["entry"][0]["resource"]
    answer = ask(server, "Medication?_id=m-amox&_elements=bogus")
    assert answer.links["self"].endswith("Medication?_id=m-amox")
    assert "batch" in answer.json["entry"][0]["resource"]


def test_a_read_names_elements_that_do_not_exist_in_a_header_or_refuses_them(server: InProcess) -> None:
    answer = ask(server, "Medication/m-amox?_elements=statuss,code")
    assert answer.status == 200
    assert answer.headers["warning"] == '299 - "statuss is not an element of Medication and was ignored"'
    strict = ask(server, "Medication/m-amox?_elements=statuss,code", Prefer="handling=strict")
    assert strict.status == 400
    assert "Did you mean 'status'?" in told(problems(strict)[0])


def test_a_read_in_a_bundle_has_no_place_for_a_warning_and_refuses_them(server: InProcess) -> None:
    request = {"method": "GET", "url": "Medication/m-amox?_elements=statuss"}
    body = json.dumps({"resourceType": "Bundle", "type": "batch", "entry": [{"request": request}]})
    answer = server.ask("POST", BASE, {"Content-Type": "application/fhir+json"}, body)
    response = answer.json["entry"][0]["response"]
    assert response["status"].startswith("400")
    assert "Did you mean 'status'?" in told(response["outcome"]["issue"][0])


@pytest.mark.parametrize("name", ["%D0%B6", "a%22b%5C", "a%0D%0AX-Evil:1", "x" * 400])
def test_no_name_of_a_parameter_breaks_the_header_that_tells_of_it(server: InProcess, name: str) -> None:
    answer = ask(server, f"Medication/m-amox?{name}=1")
    assert answer.status == 200
    assert answer.headers["warning"].startswith('299 - "')
    assert answer.headers["warning"].count('"') == 2
    assert "x-evil" not in answer.headers


def test_interactions_with_few_parameters_say_which_was_meant(server: InProcess) -> None:
    history = ask(server, "Medication/_history?_limit=1").json["issues"]["issue"][0]
    assert history["diagnostics"].startswith("Did you mean '_count'?")
    read = ask(server, "Medication/m-amox?summary=true", Prefer="handling=strict")
    assert problems(read)[0]["diagnostics"] == "Did you mean '_summary'?"


def test_what_every_search_takes_is_known_to_the_suggestions(server: InProcess) -> None:
    for name in COMMON:
        answer = ask(server, f"Medication?{name}=", Prefer="handling=strict")
        assert "no search parameter" not in answer.body.decode(), name
