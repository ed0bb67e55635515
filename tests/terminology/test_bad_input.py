"""Value sets that are made to cost: they are answered, or refused by the code that HL7's tests name."""

from __future__ import annotations

import json
from typing import Any

import pytest

from apothecary.errors import FhirError, NotEnumerable, TooCostly
from apothecary.terminology.compiling import Compiler
from apothecary.terminology.compose import Members, Question, Steps
from apothecary.terminology.resolver import Resolver
from apothecary.terminology.sources import Candidate, Given, ValueSet
from tests.conformance.harness import InProcess

Item = dict[str, Any]
HEADERS = {"Content-Type": "application/fhir+json"}
URL = "http://ex.org/s"
SYSTEM = {
    "resourceType": "CodeSystem", "url": URL, "version": "1", "content": "complete", "caseSensitive": True,
    "concept": [{"code": f"c{number}"} for number in range(100)],
}  # fmt: skip


def value_set(name: str, *include: Item, **more: Any) -> Item:
    return {"resourceType": "ValueSet", "url": name, "compose": {"include": [*include], **more}}


class Counting(Given):
    """Counts what is looked up."""

    looked = 0

    def value_sets(self, url: str) -> list[Candidate[ValueSet]]:
        self.looked += 1
        return [*super().value_sets(url)]


def compiled(name: str, *resources: Item) -> Members:
    return Compiler(Resolver([Given([SYSTEM, *resources])])).named(name)


def test_value_sets_that_include_ten_others_each_nine_deep_cost_what_they_hold() -> None:
    """A billion ways lead to each code."""
    levels = [
        value_set(f"v{level}-{one}", *({"valueSet": [f"v{level + 1}-{other}"]} for other in range(10)))
        for level in range(9)
        for one in range(10)
    ]
    last = [value_set(f"v9-{one}", {"system": URL}) for one in range(10)]
    members = compiled("v0-0", *levels, *last)
    steps = Steps("v", 200_000)
    assert len(members.entries(steps)) == 100
    assert members.find(Question(URL, "c7"), Steps("v", 2_000)) is not None
    assert members.find(Question(URL, "none"), Steps("v", 2_000)) is None


def test_a_value_set_that_walks_too_many_codes_is_too_costly() -> None:
    members = compiled("v", value_set("v", *({"system": URL, "filter": [one_code(place)]} for place in range(50))))
    assert len(members.entries(Steps("v"))) == 50
    with pytest.raises(TooCostly) as refused:
        members.entries(Steps("v", 1_000))
    assert refused.value.issues[0].code == "too-costly"


def one_code(place: int) -> Item:
    return {"property": "code", "op": "in", "value": f"c{place}"}


def test_a_hundred_thousand_includes_are_one_list() -> None:
    include = [{"system": URL, "concept": [{"code": f"c{place % 100}"}]} for place in range(100_000)]
    members = compiled("v", value_set("v", *include))
    assert len(members.includes) == 1
    assert len(members.entries(Steps("v"))) == 100


@pytest.mark.parametrize("include", [
    [{"valueSet": [f"http://ex.org/{place}"]} for place in range(100_000)],
    [{"valueSet": [f"http://ex.org/{place}" for place in range(100_000)]}],
])  # fmt: skip
def test_looking_up_has_an_end(include: list[Item]) -> None:
    source = Counting([SYSTEM, value_set("v", *include)])
    with pytest.raises(TooCostly):
        Compiler(Resolver([source])).named("v")
    assert source.looked < 5_000


def test_many_systems_that_nobody_holds_have_an_end_too() -> None:
    include = [{"system": f"http://ex.org/{place}"} for place in range(100_000)]
    with pytest.raises(TooCostly):
        compiled("v", value_set("v", *include))


@pytest.mark.parametrize(("include", "error"), [
    ({}, FhirError),
    ({"system": 5}, FhirError),
    ({"valueSet": "http://ex.org/v"}, FhirError),
    ({"system": URL, "concept": [{"display": "no code"}]}, FhirError),
    ({"system": URL, "filter": [{"property": "code", "value": "c1"}]}, FhirError),
    ({"system": URL, "filter": [{"property": "concept", "op": "is-a", "value": ""}]}, FhirError),
    ({"valueSet": ["#nothing"]}, FhirError),
    ({"system": URL, "filter": [{"property": "concept", "op": "regex", "value": "(" * 2_000}]}, NotEnumerable),
])  # fmt: skip
def test_what_is_no_include_is_refused_in_words(include: Item, error: type[FhirError]) -> None:
    with pytest.raises(error) as refused:
        compiled("v", value_set("v", include)).entries(Steps("v"))
    assert 400 <= refused.value.status < 500


POSTED = [
    *({"valueSet": {"resource": one}} for one in (
        {"resourceType": "ValueSet"}, {"resourceType": "ValueSet", "compose": 5},
        {"resourceType": "ValueSet", "compose": {"include": 5}}, {"resourceType": "Patient"},
        {"resourceType": "ValueSet", "compose": {"include": [{"system": "x", "concept": 5}]}},
        {"resourceType": "ValueSet", "expansion": {"contains": [{"contains": 5}], "total": "x"}},
        {"resourceType": "ValueSet", "extension": 5, "compose": {"include": [{"system": None}]}},
    )),
    {"valueSet": {"valueString": "x"}}, {"url": {"valueInteger": 5}}, {"tx-resource": {"valueString": "x"}},
    {"tx-resource": {"resource": {"resourceType": "CodeSystem", "url": 5}}, "url": {"valueUri": "x"}},
    {"tx-resource": {"resource": {"resourceType": "CodeSystem", "url": "x", "concept": [{"code": 5, "property": [5]}]}},
     "url": {"valueUri": "x"}},
    {"url": {"valueUri": "|"}}, {"url": {"valueUri": "#x"}},
    {"displayLanguage": {"valueCode": ";;"}, "url": {"valueUri": "x"}},
    {"system-version": {"valueUri": "x"}, "url": {"valueUri": "x"}},
    {"coding": {"valueCoding": {"code": "a", "system": 5}}},
    {"codeableConcept": {"valueCodeableConcept": {"coding": 5}}},
    {"codeableConcept": {"valueCodeableConcept": {"coding": [5]}}},
    {"coding": {"valueCoding": {"code": "a", "system": "", "display": ""}}, "url": {"valueUri": "x"}},
]  # fmt: skip


@pytest.mark.parametrize("path", [
    "ValueSet/$expand", "ValueSet/$validate-code", "CodeSystem/$validate-code", "CodeSystem/$lookup",
    "CodeSystem/$subsumes", "ValueSet/$batch-validate-code",
])  # fmt: skip
@pytest.mark.parametrize("posted", POSTED, ids=lambda one: json.dumps(one)[:80])
def test_no_parameter_ends_in_a_server_error(empty: InProcess, path: str, posted: Item) -> None:
    coded = {"system": {"valueUri": "http://ex.org/s"}, "code": {"valueCode": "a"}, "codeA": {"valueCode": "a"}}
    for given in (posted, {**coded, **posted}):
        listed = [{"name": name, **value} for name, value in given.items()]
        if "batch" in path:
            listed = [{"name": "validation", "resource": {"resourceType": "Parameters", "parameter": listed}}]
        body = json.dumps({"resourceType": "Parameters", "parameter": listed})
        answer = empty.ask("POST", f"/fhir/r5/{path}", HEADERS, body)
        assert answer.status < 500
        assert answer.json["resourceType"] in ("OperationOutcome", "Parameters", "ValueSet")


def test_asking_for_one_code_among_a_hundred_thousand_takes_a_few_steps() -> None:
    many = {**SYSTEM, "concept": [{"code": f"c{number}"} for number in range(100_000)]}
    listed = value_set("listed", {"system": URL, "concept": many["concept"]})
    compiler = Compiler(Resolver([Given([many, listed, value_set("whole", {"system": URL})])]))
    for name in ("listed", "whole"):
        members = compiler.named(name)
        assert members.find(Question(URL, "c99999"), Steps(name, 5)) is not None
        assert members.find(Question(URL, "none"), Steps(name, 5)) is None


def test_what_was_read_once_is_not_read_again(empty: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    resources = [
        {**SYSTEM, "id": "s", "status": "active"},
        {**value_set("http://ex.org/v", {"system": URL}), "id": "v"},
    ]
    for one in resources:
        path = f"/fhir/r5/{one['resourceType']}/{one['id']}"
        assert empty.ask("PUT", path, HEADERS, json.dumps({"status": "active", **one})).status in (200, 201)
    asked = [
        f"/fhir/r5/ValueSet/$validate-code?url=http://ex.org/v&system={URL}&code=c1",
        f"/fhir/r5/ValueSet/v/$validate-code?system={URL}&code=c1",
        f"/fhir/r5/CodeSystem/$validate-code?url={URL}&code=c1",
        "/fhir/r5/CodeSystem/s/$lookup?code=c1",
        "/fhir/r5/ValueSet/v/$expand?count=3",
    ]
    first = [empty.ask("GET", path).status for path in asked]
    assert first == [200] * len(asked)

    def never(*_: Any) -> Any:
        raise AssertionError("this was read before")

    reader = empty.service.reader
    for name in ("read", "search"):
        monkeypatch.setattr(reader, name, never)
    assert [empty.ask("GET", path).status for path in asked] == first
    # The trap holds: a code system that nobody asked for yet has to be looked up.
    assert empty.ask("GET", "/fhir/r5/CodeSystem/$lookup?system=http://ex.org/other&code=x").status == 500
