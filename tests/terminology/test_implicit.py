"""Value sets that no resource defines: https://hl7.org/fhir/R5/snomedct.html#implicit and its neighbours"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from apothecary.content.sync import sync
from apothecary.errors import FhirError, NotEnumerable, UnknownTerminology
from apothecary.interactions import code_system_heads
from apothecary.settings import Settings
from apothecary.store.open import open_store
from apothecary.terminology.compiling import Compiler
from apothecary.terminology.compose import Question, Steps
from apothecary.terminology.resolver import Resolver, Versions
from apothecary.terminology.rules import ByRule
from apothecary.terminology.sources import Given
from tests.conformance.harness import InProcess

JSON = {"Content-Type": "application/fhir+json"}
Item = dict[str, Any]


def system(url: str, *concepts: Item, **more: Any) -> Item:
    return {
        "resourceType": "CodeSystem", "id": url.rpartition("/")[2], "url": url, "status": "active",
        "content": "complete", "caseSensitive": True, "concept": [*concepts], **more,
    }  # fmt: skip


def concept(code: str, *inner: Item, **more: Any) -> Item:
    return {"code": code, **more} | ({"concept": [*inner]} if inner else {})


EDITION = "http://snomed.info/sct/900000000000207008"
SNOMED = system(
    "http://snomed.info/sct", concept("1", concept("2", concept("4"))), concept("3"),
    content="fragment", version=f"{EDITION}/version/20240101",
)  # fmt: skip
LOINC = system(
    "http://loinc.org",
    concept("LP1-1", concept("LP2-2", concept("10-1")), concept("11-2")),
    concept("LA1-1", property=[{"code": "LIST", "valueCode": "LL1-1"}]),
    concept("LA2-2", property=[{"code": "LIST", "valueCode": "LL2-2"}]),
    version="2.80",
)
RXNORM = system("http://www.nlm.nih.gov/research/umls/rxnorm", concept("7"), content="fragment")
OWN = system("http://ex.org/own", concept("a"), valueSet="http://ex.org/vs/own")
RESOURCES = [SNOMED, LOINC, RXNORM, OWN]


def compiler(*more: Item, systems: Versions | None = None, sets: Versions | None = None) -> Compiler:
    return Compiler(Resolver([Given([*RESOURCES, *more]), ByRule()], systems, sets))


def codes(url: str, *more: Item, **versions: Versions) -> set[str]:
    members = compiler(*more, **versions).named(url)
    return {one.code for one in members.entries(Steps(url))}


@pytest.mark.parametrize(("url", "expected"), [
    ("http://snomed.info/sct?fhir_vs", "1 2 3 4"),
    ("http://snomed.info/sct?fhir_vs=isa/2", "2 4"),
    (f"{EDITION}?fhir_vs", "1 2 3 4"),
    (f"{EDITION}/version/20240101?fhir_vs=isa/1", "1 2 4"),
    ("http://snomed.info/sct?fhir_vs=ecl/*", "1 2 3 4"),
    ("http://snomed.info/sct?fhir_vs=ecl/2", "2"),
    ("http://snomed.info/sct?fhir_vs=ecl/<<2", "2 4"),
    ("http://snomed.info/sct?fhir_vs=ecl/%3C%3C%202", "2 4"),
    ("http://snomed.info/sct?fhir_vs=ecl/<< 2 |Its term|", "2 4"),
    ("http://snomed.info/sct?fhir_vs=ecl/<1", "2 4"),
    ("http://snomed.info/sct?fhir_vs=ecl/<!1", "2"),
    ("http://snomed.info/sct?fhir_vs=ecl/>>4", "1 2 4"),
    ("http://loinc.org/vs", "LP1-1 LP2-2 10-1 11-2 LA1-1 LA2-2"),
    ("http://loinc.org/vs/LP1-1", "LP2-2 10-1 11-2"),
    ("http://loinc.org/vs/LL1-1", "LA1-1"),
    ("http://www.nlm.nih.gov/research/umls/rxnorm/vs", "7"),
    ("http://ex.org/vs/own", "a"),
])  # fmt: skip
def test_the_form_of_a_url_says_which_codes_are_meant(url: str, expected: str) -> None:
    assert codes(url) == set(expected.split())


@pytest.mark.parametrize(("url", "says"), [
    ("http://snomed.info/sct?fhir_vs=refset", "reference sets"),
    ("http://snomed.info/sct?fhir_vs=refset/723264001", "reference sets"),
    ("http://snomed.info/sct?fhir_vs=ecl/<<1 AND <<2", "expression constraints"),
    ("http://snomed.info/sct?fhir_vs=ecl/^700043003", "expression constraints"),
    ("http://snomed.info/sct?fhir_vs=ecl/< *", "expression constraints"),
    ("http://snomed.info/sct?fhir_vs=isa/9", "'9'"),
    (f"{EDITION}/version/20250101?fhir_vs", "20250101"),
    ("http://snomed.info/sct/45991000052106?fhir_vs", "45991000052106"),
    ("http://snomed.info/sct?fhir_vs=other", "fhir_vs=other"),
    ("http://loinc.org/vs/LL9-9x", "LL9-9x"),
    ("http://unitsofmeasure.org/vs/mgs", "'mgs'"),
    ("http://unitsofmeasure.org/vs/mg", "no end"),
    ("http://ex.org/vs/none", "http://ex.org/vs/none"),
])  # fmt: skip
def test_one_whose_codes_cannot_be_told_is_refused_by_its_name(url: str, says: str) -> None:
    with pytest.raises(FhirError) as refused:
        codes(url)
    assert says in str(refused.value)


def test_an_answer_list_of_a_loinc_that_does_not_say_its_lists_is_not_empty_but_refused() -> None:
    plain = system("http://loinc.org", concept("LA1-1"), version="2.81")
    with pytest.raises(NotEnumerable, match="LIST"):
        codes("http://loinc.org/vs/LL1-1", plain)


@pytest.mark.parametrize(("unit", "code", "inside"), [
    ("mg", "ug", True), ("mg", "kg", True), ("mg", "mL", False), ("mg", "mg/mL", False), ("mg/mL", "g/L", True),
    ("mg%2FmL", "g/L", True), ("Cel", "[degF]", True), ("mol", "mmol", True), ("[iU]", "mg", False),
])  # fmt: skip
def test_units_that_can_be_compared_are_one_value_set(unit: str, code: str, inside: bool) -> None:
    """https://hl7.org/fhir/R4/ucum.html: http://unitsofmeasure.org/vs/[expression]"""
    members = compiler().named(f"http://unitsofmeasure.org/vs/{unit}")
    found = members.find(Question("http://unitsofmeasure.org", code), Steps("units"))
    assert (found is not None) is inside


def test_a_filter_on_reference_sets_is_no_list_of_codes() -> None:
    """`concept in 3` means the members of the reference set 3, and not the concept 3."""
    named = {
        "resourceType": "ValueSet", "url": "http://ex.org/vs/set",
        "compose": {"include": [{"system": "http://snomed.info/sct",
                                 "filter": [{"property": "concept", "op": "in", "value": "3"}]}]},
    }  # fmt: skip
    with pytest.raises(NotEnumerable, match="reference sets"):
        codes("http://ex.org/vs/set", named)


def test_a_value_set_resource_goes_before_what_its_url_says() -> None:
    held = [
        {"resourceType": "ValueSet", "url": url, "compose": {"include": [{"system": OWN["url"], "concept": []}]}}
        for url in ("http://ex.org/vs/own", "http://loinc.org/vs/LL1-1")
    ]
    listed = {"resourceType": "ValueSet", "url": "http://loinc.org/vs/LL1-1",
              "compose": {"include": [{"system": "http://loinc.org", "concept": [{"code": "LA2-2"}]}]}}  # fmt: skip
    assert codes("http://loinc.org/vs/LL1-1", listed) == {"LA2-2"}
    assert codes("http://ex.org/vs/own", held[0]) == {"a"}


VERSIONS = [
    system("http://ex.org/many", concept("a"), version="1", valueSet="http://ex.org/vs/many"),
    system("http://ex.org/many", concept("a"), concept("b"), version="2", valueSet="http://ex.org/vs/many|9"),
    system("http://ex.org/many", concept("c"), version="3"),
]


@pytest.mark.parametrize(("canonical", "expected"), [
    ("http://ex.org/vs/many|1", "a"),
    ("http://ex.org/vs/many|9", "a b"),
    ("http://ex.org/vs/many", "c"),
])  # fmt: skip
def test_a_version_is_that_which_the_code_system_gives_it(canonical: str, expected: str) -> None:
    assert codes(canonical, *VERSIONS) == set(expected.split())


@pytest.mark.parametrize("canonical", ["http://ex.org/vs/many|2", "http://ex.org/vs/many|3", "http://ex.org/vs/many|4"])
def test_a_version_that_no_code_system_gives_it_is_not_held(canonical: str) -> None:
    with pytest.raises(UnknownTerminology):
        codes(canonical, *VERSIONS)


def test_a_request_may_say_which_version_of_the_code_system_counts() -> None:
    systems = Versions(default={"http://ex.org/many": "1"})
    assert codes("http://ex.org/vs/many", *VERSIONS, systems=systems) == {"a"}


def test_one_that_two_code_systems_name_is_refused_with_both_names() -> None:
    other = system("http://ex.org/other", concept("z"), valueSet="http://ex.org/vs/own")
    with pytest.raises(UnknownTerminology, match=r"http://ex\.org/own, http://ex\.org/other"):
        codes("http://ex.org/vs/own", other)


def test_a_supplement_names_no_value_set_of_its_own() -> None:
    more = system("http://ex.org/more", concept("a"), content="supplement", supplements=OWN["url"],
                  valueSet="http://ex.org/vs/more")  # fmt: skip
    with pytest.raises(UnknownTerminology):
        codes("http://ex.org/vs/more", more)


# -- on a server


@pytest.fixture
def server(database_url: str) -> Iterator[InProcess]:
    settings = Settings(database=database_url, content="", resource_types="*")
    store = open_store(settings)
    sync(settings, store)
    made = InProcess(settings, store)
    for one in RESOURCES:
        put(made, one)
    yield made
    store.close()


def put(server: InProcess, resource: Item) -> None:
    path = f"/fhir/r5/{resource['resourceType']}/{resource['id']}"
    answer = server.ask("PUT", path, JSON, json.dumps(resource))
    assert answer.status in (200, 201), answer.body


def test_the_store_answers_for_value_sets_that_no_resource_defines(server: InProcess) -> None:
    """In all releases, for operations and for searches; as long as the code system says so."""
    owner = {"resourceType": "Medication", "id": "m", "code": {"coding": [{"system": OWN["url"], "code": "a"}]}}
    put(server, owner)
    url = quote("http://ex.org/vs/own", "")
    for base in ("/fhir/r4", "/fhir/r4b", "/fhir/r5"):
        answer = server.ask("GET", f"{base}/ValueSet/$expand?url={url}")
        assert [one["code"] for one in answer.json["expansion"]["contains"]] == ["a"]
        assert server.ask("GET", f"{base}/Medication?code:in={url}").ids == ["m"]
    put(server, {**OWN, "valueSet": "http://ex.org/vs/renamed"})
    assert server.ask("GET", f"/fhir/r5/ValueSet/$expand?url={url}").status == 404
    put(server, {**OWN, "valueSet": "http://ex.org/vs/own"})
    own = {"resourceType": "ValueSet", "id": "own", "url": "http://ex.org/vs/own", "status": "active",
           "compose": {"include": [{"system": "http://snomed.info/sct", "concept": [{"code": "3"}]}]}}  # fmt: skip
    put(server, own)
    answer = server.ask("GET", f"/fhir/r5/ValueSet/$expand?url={url}")
    assert [one["code"] for one in answer.json["expansion"]["contains"]] == ["3"]


def test_code_systems_past_the_limit_are_told_not_passed_over(
    server: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(code_system_heads, "MOST_READ", 2)
    for base in ("/fhir/r4", "/fhir/r4b", "/fhir/r5"):
        told = server.ask("GET", f"{base}/metadata?mode=terminology").json
        assert "2 more code systems" in told["description"]
        assert f"{base}/CodeSystem?_elements=url,version" in told["description"]
    missing = server.ask("GET", "/fhir/r5/ValueSet/$expand?url=http://ex.org/vs/none")
    assert missing.status == 404
    assert "of 4 code systems 2 were not asked" in missing.body.decode()


def test_subdivisions_of_countries_are_refused_by_name(server: InProcess) -> None:
    url = "urn:iso:std:iso:3166:-2"
    answer = server.ask("GET", f"/fhir/r5/CodeSystem/$validate-code?url={url}&code=CH-ZH").json
    told = {one["name"]: one for one in answer["parameter"]}
    assert told["result"]["valueBoolean"] is False
    assert told["x-unknown-system"]["valueCanonical"] == url
