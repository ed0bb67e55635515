"""Searches with every resource type served: the tables of everything.yaml and filter.yaml hold, on both databases."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from apothecary.search.filter import OPERATORS, TAKES
from tests.conformance.harness import BASE, EVERYTHING, Answer, InProcess, problems, table, told
from tests.conformance.walk import backwards, forwards

SEARCHES = [(query, found) for section in table("everything.yaml").values() for query, found in section.items()]
FILTERS = [(query, found) for section in table("filter.yaml").values() for query, found in section.items()]


def named(value: Any) -> str:
    return value if isinstance(value, str) else ""


def ask(server: InProcess, query: str) -> Answer:
    return server.ask("GET", f"{BASE}{'' if query.startswith('?') else '/'}{query}")


@pytest.mark.parametrize(("query", "expected"), SEARCHES, ids=named)
def test_a_search_finds_exactly_what_the_table_says(everything_server: InProcess, query: str, expected: Any) -> None:
    answer = ask(everything_server, query)
    if isinstance(expected, dict) and "refused" in expected:
        assert answer.status == 400, answer.body
        assert problems(answer)[0]["expression"] == [expected["refused"]], answer.body
        return
    assert answer.status == 200, answer.body
    if isinstance(expected, dict):
        assert answer.ids == expected["order"]
    else:
        assert sorted(answer.ids) == sorted(expected)
        assert answer.json["total"] == len(expected)


@pytest.mark.parametrize(("query", "expected"), FILTERS, ids=named)
def test_a_filter_finds_exactly_what_the_table_says(everything_server: InProcess, query: str, expected: Any) -> None:
    resource_type, _, text = query.partition(" ")
    answer = ask(everything_server, f"{resource_type}?_filter={quote(text, safe='')}")
    if isinstance(expected, dict):
        assert answer.status == 400, answer.body
        issue = problems(answer)[0]
        assert expected["refused"] in told(issue), issue
    else:
        assert answer.status == 200, answer.body
        assert sorted(answer.ids) == sorted(expected)


def test_the_table_of_filters_has_every_operator_of_every_type_and_a_refusal() -> None:
    """An operator that nobody tried is no operator that works."""
    codes = {
        "string": ("name", "given"),
        "token": ("code", "status", "_id"),
        "date": ("expiration-date", "date", "_lastUpdated", "birthdate"),
        "number": ("probability",),
        "quantity": ("value-quantity",),
        "reference": ("subject",),
        "uri": ("url",),
        "composite": ("code-value-quantity", "component-code-value-quantity"),
    }
    assert codes.keys() == TAKES.keys()
    tried = {
        (words[1], words[2], isinstance(found, list)) for query, found in FILTERS if len(words := query.split()) > 3
    }
    for kind, operators in TAKES.items():
        for operator in operators:
            if kind == "quantity" and operator in TAKES["number"]:
                continue  # the comparison is that of numbers
            assert any((code, operator, True) in tried for code in codes[kind]), (kind, operator)
        assert any((code, operator, False) in tried for code in codes[kind] for operator in OPERATORS), kind


@pytest.mark.parametrize("text", ["status eq active", "status eq active or code pr true", 'name co "x"'])
def test_a_filter_stands_in_the_self_link(everything_server: InProcess, text: str) -> None:
    resource_type = "Organization" if "name" in text else "Medication"
    answer = ask(everything_server, f"{resource_type}?_filter={quote(text)}&_count=1")
    again = everything_server.ask("GET", answer.links["self"])
    assert again.ids == answer.ids
    assert "_filter=" in answer.links["self"]


# -- named queries


def test_the_self_link_of_a_named_query_shows_what_the_client_wrote(everything_server: InProcess) -> None:
    answer = ask(everything_server, "Medication?_query=by-holder&holder=acme&_sort=-_id")
    assert answer.links["self"].endswith("/Medication?_query=by-holder&holder=acme&_sort=-_id")
    assert everything_server.ask("GET", answer.links["self"]).ids == answer.ids == ["md-base"]


def test_a_named_query_is_paged_as_any_search(everything_server: InProcess) -> None:
    pages = forwards(everything_server, f"{BASE}/Medication?_query=usable&_count=1")
    assert [page.ids for page in pages] == [["md-base"], ["md-mix"]]


def test_named_queries_are_claimed_for_their_types_only(everything_server: InProcess) -> None:
    rest = everything_server.ask("GET", f"{BASE}/metadata").json["rest"][0]
    claimed = {
        one["type"]: {query["name"]: query["definition"] for query in one["operation"] if query["name"][0] != "$"}
        for one in rest["resource"]
    }
    of_medications = {
        "by-holder": "http://ex.org/OperationDefinition/q-holder",
        "usable": "http://ex.org/OperationDefinition/q-everything",
    }
    queried = {one["type"] for one in rest["resource"] if any(p["name"] == "_query" for p in one["searchParam"])}
    assert queried == {"Medication"}
    assert {kind: found for kind, found in claimed.items() if kind == "Medication" or "by-holder" in found} == {
        "Medication": {**claimed["Medication"], **of_medications}
    }


# -- _explain


def explained(server: InProcess, query: str) -> str:
    (entry,) = (one for one in ask(server, query).json["entry"] if one["search"]["mode"] == "outcome")
    (issue,) = (one for one in entry["resource"]["issue"] if one.get("expression") == ["_explain"])
    assert issue["severity"] == "information"
    return told(issue)


@pytest.mark.parametrize(
    "query",
    [
        "status=active",
        "status:not=active",
        "_filter=status%20eq%20active",
        "ingredient.status=active&_sort=-status",
        "",
    ],
)
def test_explain_tells_what_ran_and_changes_no_match(everything_server: InProcess, query: str) -> None:
    text = explained(everything_server, f"Medication?{query}&_explain=true")
    assert "applied: " in text
    assert "SELECT" in text
    assert " ms" in text
    assert (
        ask(everything_server, f"Medication?{query}&_explain=true").ids
        == ask(everything_server, f"Medication?{query}").ids
    )


def test_explain_tells_what_was_ignored(everything_server: InProcess) -> None:
    text = explained(everything_server, "Medication?status=active&bogus=1&_explain=true")
    assert "applied: status=active" in text
    assert "bogus" in text.partition("ignored: ")[2]


def test_without_explain_there_is_no_explanation(everything_server: InProcess) -> None:
    for query in ("Medication?status=active", "Medication?status=active&_explain=false"):
        assert all(one["search"]["mode"] == "match" for one in ask(everything_server, query).json["entry"])
    assert ask(everything_server, "Medication?_explain=yes").status == 400


# -- _maxresults


@pytest.mark.parametrize(("most", "size"), [(1, 1), (2, 1), (3, 2), (4, 2), (4, 3), (9, 2), (2, 20)])
@pytest.mark.parametrize("order", ["", "&_sort=-status"])
def test_no_more_than_maxresults_come_over_all_pages(
    everything_server: InProcess, most: int, size: int, order: str
) -> None:
    whole = ask(everything_server, f"Medication?{order}").ids
    pages = forwards(everything_server, f"{BASE}/Medication?_maxresults={most}&_count={size}{order}")
    assert [one for page in pages for one in page.ids] == whole[:most]
    assert [page.ids for page in backwards(everything_server, pages[-1])] == [page.ids for page in reversed(pages)]
    assert "last" not in pages[0].links


@pytest.mark.parametrize("value", ["0", "-1", "x", "1.5"])
def test_maxresults_takes_a_whole_number_from_one(everything_server: InProcess, value: str) -> None:
    assert problems(ask(everything_server, f"Medication?_maxresults={value}"))[0]["expression"] == ["_maxresults"]


# -- page links


@pytest.mark.parametrize("order", ["", "_sort=-status,expiration-date&", "_sort=_lastUpdated&"])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_first_and_last_lead_to_the_ends_from_every_page(everything_server: InProcess, order: str, size: int) -> None:
    pages = forwards(everything_server, f"{BASE}/Medication?{order}_count={size}")
    whole = [one for page in pages for one in page.ids]
    for number, page in enumerate(pages):
        assert ("first" in page.links) == ("previous" in page.links) == (number > 0)
        assert ("last" in page.links) == ("next" in page.links) == (number < len(pages) - 1)
        if "first" in page.links:
            assert everything_server.ask("GET", page.links["first"]).ids == pages[0].ids
        if "last" in page.links:
            # The last page is counted from the end, so it is full.
            end = everything_server.ask("GET", page.links["last"])
            assert end.ids == whole[-size:]
            assert "next" not in end.links
            back = backwards(everything_server, end)
            assert [one for found in reversed(back) for one in found.ids] == whole


def test_one_page_has_no_links_but_its_own(everything_server: InProcess) -> None:
    assert ask(everything_server, "Medication").links.keys() == {"self"}


def test_every_resource_of_the_fixtures_is_found_by_its_id(everything_server: InProcess) -> None:
    for one in EVERYTHING:
        assert ask(everything_server, f"{one['resourceType']}?_id={one['id']}").ids == [one["id"]]
