"""Versions, cases, displays, supplements and what is not held, over both databases, by GET and POST and in batches."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from apothecary.settings import Settings
from tests.conformance.harness import Answer, InProcess, serving
from tests.databases import session_database

HEADERS = {"Content-Type": "application/fhir+json"}
PROPERTIES = "http://hl7.org/fhir/concept-properties#"
Item = dict[str, Any]


def code_system(name: str, version: str, *concepts: Item, **more: Any) -> Item:
    return {
        "resourceType": "CodeSystem", "id": f"{name}-{version}", "url": f"http://ex.org/{name}", "version": version,
        "status": "active", "content": "complete", "caseSensitive": True, "concept": [*concepts], **more,
    }  # fmt: skip


def value_set(name: str, version: str = "1", **compose: Any) -> Item:
    return {
        "resourceType": "ValueSet", "id": f"{name}-{version}", "url": f"http://ex.org/vs/{name}", "version": version,
        "status": "active", "compose": compose,
    }  # fmt: skip


def concept(code: str, *inner: Item, **more: Any) -> Item:
    return {"code": code, "display": f"The {code}", **more} | ({"concept": [*inner]} if inner else {})


def coded(code: str, value: Any, kind: str = "Code") -> Item:
    return {"code": code, f"value{kind}": value}


DRUG = "http://ex.org/drugs"
RESOURCES = [
    code_system("drugs", "1.0.0", concept("a"), concept("old")),
    code_system("drugs", "1.2.0", concept("a", display="The a of 1.2"), concept("b")),
    code_system("drugs", "2.0.0", concept("a", concept("b")), concept("c")),
    code_system("loose", "1", concept("Code1"), caseSensitive=False),
    code_system(
        "rich", "1",
        concept("group", concept("leaf", property=[coded("kind", {"system": "http://k", "code": "x"}, "Coding"),
                                                   coded("since", "2020-01-01", "DateTime"),
                                                   coded("mg", 0.5, "Decimal"), coded("n", 3, "Integer")],
                                 definition="A leaf.",
                                 designation=[{"language": "de", "value": "Blatt"}]),
                property=[coded("abstract", True, "Boolean")]),
        concept("gone", property=[coded("state", "retired")]),
        concept("alone", property=[coded("above", "group")]),
        property=[{"code": "abstract", "uri": f"{PROPERTIES}notSelectable", "type": "boolean"},
                  {"code": "state", "uri": f"{PROPERTIES}status", "type": "code"},
                  {"code": "above", "uri": f"{PROPERTIES}parent", "type": "code"},
                  {"code": "kind", "type": "Coding"}],
    ),
    code_system("more", "1", concept("leaf", designation=[{"language": "nl", "value": "Blad"}]),
                content="supplement", supplements="http://ex.org/rich"),
    value_set("any", include=[{"system": DRUG}]),
    value_set("first", include=[{"system": DRUG, "version": "1.0.0"}]),
    value_set("wild", include=[{"system": DRUG, "version": "1.x"}]),
    value_set("third", include=[{"system": DRUG, "version": "3.0.0"}]),
    value_set("both", include=[{"system": DRUG, "version": "1.0.0"}, {"system": DRUG, "version": "2.0.0"}],
              exclude=[{"system": DRUG, "version": "1.0.0", "concept": [{"code": "a"}]}]),
    value_set("all-but", include=[{"system": DRUG, "version": "1.0.0"}, {"system": DRUG, "version": "2.0.0"}],
              exclude=[{"system": DRUG, "concept": [{"code": "a"}]}]),
    value_set("any", "2", include=[{"system": DRUG, "concept": [{"code": "c"}]}]),
    value_set("listed", include=[{"system": DRUG, "concept": [{"code": "a"}, {"code": "no-such"}]}]),
    value_set("loose", include=[{"system": "http://ex.org/loose"}]),
    value_set("foreign", include=[{"system": "http://ex.org/nowhere", "concept": [{"code": "x"}]}]),
    value_set("foreign-all", include=[{"system": "http://ex.org/nowhere"}]),
    value_set("mixed", include=[{"system": "http://ex.org/nowhere"}, {"system": DRUG}]),
    *(
        value_set(name, include=[
            {"system": "http://ex.org/rich", "filter": [{"property": property_, "op": op, "value": value}]}
        ])
        for name, property_, op, value in (
            ("abstract", "not-selectable", "=", "true"),
            ("abstract-2", "notSelectable", "=", "true"),
            ("status", "status", "=", "retired"),
            ("inactive", "inactive", "=", "true"),
            ("active", "inactive", "=", "false"),
            ("parent", "parent", "=", "group"),
            ("child", "child", "exists", "true"),
            ("coding", "kind", "=", "x"),
        )
    ),
]  # fmt: skip


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    with (
        session_database(request, tmp_path_factory) as url,
        serving(Settings(database=url, content="", resource_types="*")) as found,
    ):
        entries = [
            {"resource": one, "request": {"method": "PUT", "url": f"{one['resourceType']}/{one['id']}"}}
            for one in RESOURCES
        ]
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        answer = found.ask("POST", "/fhir/r5", HEADERS, json.dumps(bundle))
        assert answer.status == 200, answer.body
        yield found


def said(answer: Answer) -> Item:
    """The parameters of an answer by name; issues as `severity kind`."""
    assert answer.status == 200, answer.body
    found: Item = {}
    for one in answer.json["parameter"]:
        name = one["name"]
        if name == "issues":
            issues = one["resource"]["issue"]
            found[name] = [f"{each['severity']} {each['details']['coding'][0]['code']}" for each in issues]
        elif "part" not in one:
            found[name] = next(value for key, value in one.items() if key != "name")
    return found


ASKED = [
    # The instance's version answers, whatever other versions there are.
    ("CodeSystem/drugs-1.0.0/$validate-code?code=old", {"result": True, "version": "1.0.0"}),
    ("CodeSystem/drugs-2.0.0/$validate-code?code=old", {"result": False, "issues": ["error invalid-code"]}),
    ("CodeSystem/drugs-1.2.0/$validate-code?code=a&display=The a of 1.2", {"result": True, "version": "1.2.0"}),
    ("CodeSystem/drugs-2.0.0/$subsumes?codeA=a&codeB=b", {"outcome": "subsumes"}),
    ("CodeSystem/drugs-1.2.0/$subsumes?codeA=a&codeB=b", {"outcome": "not-subsumed"}),
    ("CodeSystem/drugs-1.2.0/$lookup?code=a", {"version": "1.2.0", "display": "The a of 1.2"}),
    # A version that is named; the newest without one; one that is not held is no other.
    (f"CodeSystem/$validate-code?url={DRUG}&code=old", {"result": False, "version": "2.0.0"}),
    (f"CodeSystem/$validate-code?url={DRUG}&code=old&version=1.0.0", {"result": True, "version": "1.0.0"}),
    (f"CodeSystem/$validate-code?url={DRUG}|1.0.0&code=old", {"result": True, "version": "1.0.0"}),
    (f"CodeSystem/$validate-code?url={DRUG}&code=a&version=9", {"result": False, "issues": ["error not-found"],
                                                                "x-unknown-system": f"{DRUG}|9"}),
    (f"CodeSystem/$validate-code?url={DRUG}&code=b&system-version={DRUG}|1.x", {"result": True, "version": "1.2.0"}),
    (f"CodeSystem/$lookup?system={DRUG}&code=a&version=1.2.0", {"display": "The a of 1.2"}),
    (f"CodeSystem/$lookup?system={DRUG}&code=a&version=1.x", {"version": "1.2.0"}),
    (f"CodeSystem/$subsumes?system={DRUG}&codeA=a&codeB=b&version=1.2.0", {"outcome": "not-subsumed"}),
    (f"ValueSet/$validate-code?url=http://ex.org/vs/any&system={DRUG}&code=c", {"result": True}),
    (f"ValueSet/$validate-code?url=http://ex.org/vs/any&valueSetVersion=1&system={DRUG}&code=b", {"result": True}),
    (f"ValueSet/$validate-code?url=http://ex.org/vs/first&system={DRUG}&code=old",
     {"result": True, "version": "1.0.0"}),
    (f"ValueSet/$validate-code?url=http://ex.org/vs/first&system={DRUG}&code=a&version=9", {"result": False}),
    (f"ValueSet/$validate-code?url=http://ex.org/vs/first&system={DRUG}&systemVersion=2.0.0&code=a",
     {"result": False, "issues": ["error not-in-vs", "error vs-invalid"]}),
    (f"ValueSet/$validate-code?url=http://ex.org/vs/wild&system={DRUG}&code=b", {"result": True}),
    (f"ValueSet/$validate-code?url=http://ex.org/vs/wild&system={DRUG}&code=c", {"result": False}),
    (f"ValueSet/$validate-code?url=http://ex.org/vs/third&system={DRUG}&code=a",
     {"result": False, "x-caused-by-unknown-system": f"{DRUG}|3.0.0"}),
    (f"ValueSet/$validate-code?url=http://ex.org/vs/third&system={DRUG}&code=a&force-system-version={DRUG}|2.0.0",
     {"result": True}),
    (f"ValueSet/$validate-code?url=http://ex.org/vs/first&system={DRUG}&code=a&check-system-version={DRUG}|2.x",
     {"result": False, "issues": ["error version-error"]}),
    # Excludes of one version leave the others alone; of none, they mean all.
    (f"ValueSet/$validate-code?url=http://ex.org/vs/both&system={DRUG}&systemVersion=2.0.0&code=a", {"result": True}),
    (f"ValueSet/$validate-code?url=http://ex.org/vs/both&system={DRUG}&systemVersion=1.0.0&code=a", {"result": False}),
    (f"ValueSet/$validate-code?url=http://ex.org/vs/all-but&system={DRUG}&code=a", {"result": False}),
    (f"ValueSet/$validate-code?url=http://ex.org/vs/listed&system={DRUG}&code=no-such", {"result": False}),
    # Case counts where the code system says so, and nowhere else.
    ("ValueSet/$validate-code?url=http://ex.org/vs/loose&system=http://ex.org/loose&code=CODE1",
     {"result": True, "normalized-code": "Code1"}),
    ("CodeSystem/$validate-code?url=http://ex.org/loose&code=CODE1", {"result": True, "normalized-code": "Code1"}),
    (f"ValueSet/$validate-code?url=http://ex.org/vs/any&system={DRUG}&code=C", {"result": False}),
    # What is not held is named.
    ("ValueSet/$validate-code?url=http://ex.org/vs/foreign&system=http://ex.org/nowhere&code=x",
     {"result": True, "issues": ["warning not-found"]}),
    ("ValueSet/$validate-code?url=http://ex.org/vs/foreign-all&system=http://ex.org/nowhere&code=x",
     {"result": False, "x-caused-by-unknown-system": "http://ex.org/nowhere"}),
    (f"ValueSet/$validate-code?url=http://ex.org/vs/mixed&system={DRUG}&code=a", {"result": True}),
    # Displays, designations and supplements.
    ("CodeSystem/$validate-code?url=http://ex.org/rich&code=leaf&display=Blatt", {"result": True}),
    ("CodeSystem/$validate-code?url=http://ex.org/rich&code=leaf&display=Blad", {"result": False}),
    ("CodeSystem/$validate-code?url=http://ex.org/rich&code=leaf&display=Blad&useSupplement=http://ex.org/more",
     {"result": True}),
    ("CodeSystem/$validate-code?url=http://ex.org/rich&code=leaf&displayLanguage=de", {"display": "Blatt"}),
    ("CodeSystem/$lookup?system=http://ex.org/rich&code=leaf&displayLanguage=de",
     {"display": "Blatt", "definition": "A leaf."}),
    ("CodeSystem/$validate-code?url=http://ex.org/rich&code=group&abstract=false",
     {"result": False, "issues": ["error code-rule"]}),
    ("CodeSystem/$validate-code?url=http://ex.org/rich&code=gone",
     {"result": True, "inactive": True, "status": "retired"}),
    ("CodeSystem/$subsumes?system=http://ex.org/rich&codeA=group&codeB=alone", {"outcome": "subsumes"}),
]  # fmt: skip


@pytest.mark.parametrize("base", ["/fhir/r4", "/fhir/r4b", "/fhir/r5"])
@pytest.mark.parametrize(("path", "expected"), ASKED, ids=lambda one: one if isinstance(one, str) else "")
def test_an_operation_answers(server: InProcess, base: str, path: str, expected: Item) -> None:
    found = said(server.ask("GET", f"{base}/{path}"))
    assert {name: found.get(name) for name in expected} == expected


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_batch_asks_operations_as_requests_do(server: InProcess, method: str) -> None:
    entries: list[Item] = []
    for path, _ in ASKED:
        place, _, query = path.partition("?")
        if method == "GET":
            entries.append({"request": {"method": "GET", "url": path.replace(" ", "%20")}})
            continue
        asked = [
            {"name": name, "valueString": value} for name, value in (one.split("=", 1) for one in query.split("&"))
        ]
        body = {"resourceType": "Parameters", "parameter": asked}
        entries.append({"request": {"method": "POST", "url": place}, "resource": body})
    bundle = {"resourceType": "Bundle", "type": "batch", "entry": entries}
    answered = server.ask("POST", "/fhir/r5", HEADERS, json.dumps(bundle)).json["entry"]
    alone = [server.ask("GET", f"/fhir/r5/{path}").json for path, _ in ASKED]
    assert [one.get("resource") for one in answered] == alone


@pytest.mark.parametrize(("url", "says"), [
    ("ValueSet/$nothing", "404"),
    ("ValueSet/$expand", "400"),
    ("ValueSet/any-1/$meta-add", "405"),
    ("ValueSet/any-1/b/$expand", "404"),
])  # fmt: skip
def test_a_batch_answers_for_an_operation_that_fails(server: InProcess, url: str, says: str) -> None:
    entry = {"request": {"method": "POST", "url": url}, "resource": {"resourceType": "Parameters"}}
    bundle = {"resourceType": "Bundle", "type": "batch", "entry": [entry]}
    answer = server.ask("POST", "/fhir/r5", HEADERS, json.dumps(bundle))
    assert answer.json["entry"][0]["response"]["status"].startswith(says)


def test_a_transaction_refuses_operations(server: InProcess) -> None:
    entry = {"request": {"method": "GET", "url": "ValueSet/any-1/$expand"}}
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
    answer = server.ask("POST", "/fhir/r5", HEADERS, json.dumps(bundle))
    assert answer.status == 400
    assert b"not offered inside a transaction" in answer.body


@pytest.mark.parametrize(("name", "codes"), [
    ("abstract", ["group"]),
    ("abstract-2", ["group"]),
    ("status", ["gone"]),
    ("inactive", ["gone"]),
    ("active", ["group", "leaf", "alone"]),
    ("parent", ["leaf", "alone"]),
    ("child", ["group"]),
    ("coding", ["leaf"]),
    ("both", ["old", "a", "b", "c"]),
    ("all-but", ["old", "b", "c"]),
    ("listed", ["a"]),
])  # fmt: skip
def test_a_value_set_expands(server: InProcess, name: str, codes: list[str]) -> None:
    answer = server.ask("GET", f"/fhir/r5/ValueSet/$expand?url=http://ex.org/vs/{name}&excludeNested=true")
    assert [one["code"] for one in answer.json["expansion"]["contains"]] == codes
    assert answer.json["expansion"]["total"] == len(codes)


def test_an_expansion_of_several_versions_says_of_which_each_code_is(server: InProcess) -> None:
    expansion = server.ask("GET", "/fhir/r5/ValueSet/both-1/$expand").json["expansion"]
    assert [(one["code"], one["version"]) for one in expansion["contains"]] == [
        ("old", "1.0.0"), ("a", "2.0.0"), ("b", "2.0.0"), ("c", "2.0.0"),
    ]  # fmt: skip
    used = [one["valueUri"] for one in expansion["parameter"] if one["name"] == "used-codesystem"]
    assert used == [f"{DRUG}|1.0.0", f"{DRUG}|2.0.0"]


def test_properties_keep_their_types(server: InProcess) -> None:
    answer = server.ask("GET", "/fhir/r5/CodeSystem/$lookup?system=http://ex.org/rich&code=leaf").json
    found = {}
    for one in answer["parameter"]:
        if one["name"] == "property":
            code, value = one["part"][0]["valueCode"], one["part"][1]
            found[code] = {key: each for key, each in value.items() if key != "name"}
    assert found == {
        "inactive": {"valueBoolean": False}, "parent": {"valueCode": "group"},
        "kind": {"valueCoding": {"system": "http://k", "code": "x"}},
        "since": {"valueDateTime": "2020-01-01"}, "mg": {"valueDecimal": 0.5}, "n": {"valueInteger": 3},
    }  # fmt: skip


@pytest.mark.parametrize(("property_", "names"), [
    ("definition", {"definition"}),
    ("designation", {"designation"}),
    ("kind", {"property"}),
    ("parent", {"property"}),
    ("display", set()),
    ("lang.de", {"designation"}),
])  # fmt: skip
def test_a_lookup_tells_what_it_is_asked_for(server: InProcess, property_: str, names: set[str]) -> None:
    path = f"/fhir/r5/CodeSystem/$lookup?system=http://ex.org/rich&code=leaf&property={property_}"
    found = {one["name"] for one in server.ask("GET", path).json["parameter"]}
    assert found - {"name", "version", "code", "system", "display", "abstract"} == names


def test_an_expansion_in_r4_is_r4(server: InProcess) -> None:
    path = "ValueSet/$expand?url=http://ex.org/vs/status&property=state"
    older = server.ask("GET", f"/fhir/r4/{path}").json["expansion"]
    newer = server.ask("GET", f"/fhir/r5/{path}").json["expansion"]
    assert "property" in newer
    assert "property" not in older
    assert "property" not in older["contains"][0]
    assert older["contains"][0]["inactive"] is True


def test_a_code_of_another_code_system_is_refused(server: InProcess) -> None:
    coding = {"system": "http://ex.org/rich", "code": "a"}
    for path, extra in (("CodeSystem/$validate-code", [{"name": "url", "valueUri": DRUG}]),
                        ("CodeSystem/drugs-1.0.0/$validate-code", [])):  # fmt: skip
        body = {"resourceType": "Parameters", "parameter": [{"name": "coding", "valueCoding": coding}, *extra]}
        found = said(server.ask("POST", f"/fhir/r5/{path}", HEADERS, json.dumps(body)))
        assert (found["result"], found["issues"]) == (False, ["error invalid-data"])


def test_every_coding_of_a_concept_is_looked_at_in_its_own_system(server: InProcess) -> None:
    codings = [{"system": "http://ex.org/nowhere", "code": "x"}, {"system": DRUG, "version": "1.0.0", "code": "old"}]
    value = {"name": "codeableConcept", "valueCodeableConcept": {"coding": codings}}
    body = {"resourceType": "Parameters", "parameter": [value]}
    found = said(server.ask("POST", "/fhir/r5/CodeSystem/$validate-code", HEADERS, json.dumps(body)))
    assert (found["result"], found["code"], found["version"]) == (True, "old", "1.0.0")
