"""Codes whose place in the hierarchy follows from the way they are written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from apothecary.fhir.code_forms import FORMS
from apothecary.settings import Settings
from apothecary.store.open import open_store
from tests.conformance.harness import Answer, InProcess

JSON = {"Content-Type": "application/fhir+json"}
ICD, ATC = "http://hl7.org/fhir/sid/icd-10-cm", "http://www.whocc.no/atc"
# One Medication each; ids are the codes without dots.
CODES = {
    ICD: ["G40", "G40.9", "G40.90", "G40.909", "G40.919", "G40.A", "G43", "G43.909", "S52.521A"],
    ATC: ["N", "N05", "N05B", "N05BA", "N05BA01", "N05BA12", "N05CD01", "C"],
}
FRAGMENT = {
    "resourceType": "CodeSystem",
    "id": "icd",
    "url": ICD,
    "status": "active",
    "caseSensitive": True,
    "content": "fragment",
    "concept": [{"code": "G40"}, {"code": "G40.90"}, {"code": "G40.909"}, {"code": "G43"}],
}


@pytest.mark.parametrize(("system", "code", "above"), [
    (ICD, "G40", ()),
    (ICD, "G40.9", ("G40",)),
    (ICD, "G40.909", ("G40.90", "G40.9", "G40")),
    (ICD, "S52.521A", ("S52.521", "S52.52", "S52.5", "S52")),
    (ICD, "T36.0X1A", ("T36.0X1", "T36.0X", "T36.0", "T36")),
    (ICD, "C4A.0", ("C4A",)),
    (ATC, "N05BA01", ("N05BA", "N05B", "N05", "N")),
    (ATC, "N", ()),
])  # fmt: skip
def test_what_a_code_is_below_follows_from_its_form(system: str, code: str, above: tuple[str, ...]) -> None:
    assert FORMS[system].above(code) == above


@pytest.mark.parametrize(("system", "code"), [
    (ICD, "G40-G47"), (ICD, "G4"), (ICD, "G40."), (ICD, "G40.12345"), (ICD, "440.9"), (ICD, "G40.9 "), (ICD, ""),
    (ATC, "N0"), (ATC, "N05BA1"), (ATC, "N05BA011"), (ATC, "05"),
])  # fmt: skip
def test_what_is_not_written_as_a_code_has_no_place(system: str, code: str) -> None:
    assert not FORMS[system].fits(code)


def named(code: str) -> str:
    return code.replace(".", "-")


@pytest.fixture(params=[False, True], ids=["nothing held", "a part held"])
def server(request: pytest.FixtureRequest, database_url: str) -> Iterator[InProcess]:
    store = open_store(settings := Settings(database=database_url, content="", resource_types="*"))
    made = InProcess(settings, store)
    if request.param:
        put(made, FRAGMENT)
    for system, codes in CODES.items():
        for code in codes:
            coding = {"system": system, "code": code}
            put(made, {"resourceType": "Medication", "id": named(code), "code": {"coding": [coding]}})
    yield made
    store.close()


def put(server: InProcess, resource: dict[str, Any]) -> None:
    path = f"/fhir/r5/{resource['resourceType']}/{resource['id']}"
    answer = server.ask("PUT", path, JSON, json.dumps(resource))
    assert answer.status == 201, answer.body


def ask(server: InProcess, base: str, modifier: str, system: str, code: str) -> Answer:
    return server.ask("GET", f"{base}/Medication?code:{modifier}={quote(system)}|{quote(code)}&_count=50")


def test_a_search_follows_the_form_whatever_is_held(server: InProcess) -> None:
    for system, codes in CODES.items():
        form = FORMS[system]
        for code in (*codes, "G40.901" if system == ICD else "N05BA02"):
            for base in ("/fhir/r4", "/fhir/r4b", "/fhir/r5"):
                below = ask(server, base, "below", system, code)
                assert sorted(below.ids) == sorted(
                    named(one) for one in codes if one == code or code in form.above(one)
                )
                above = ask(server, base, "above", system, code)
                assert sorted(above.ids) == sorted(named(one) for one in codes if one in (code, *form.above(code)))
                # Nothing depends on what is held, so there is nothing to warn of.
                for answer in (below, above):
                    assert all(one["search"]["mode"] == "match" for one in answer.json.get("entry", ()))


def test_what_has_another_form_is_left_to_the_code_system(server: InProcess) -> None:
    answer = ask(server, "/fhir/r5", "below", ICD, "G40-G47")
    assert answer.status == 400, answer.body


def test_the_code_system_says_so_as_well(sqlite_database_url: str) -> None:
    store = open_store(settings := Settings(database=sqlite_database_url, content="", resource_types="*"))
    server = InProcess(settings, store)
    put(server, FRAGMENT)
    for a, b, outcome in (
        ("G40", "G40.909", "subsumes"),
        ("G40.909", "G40", "subsumed-by"),
        ("G40", "G43", "not-subsumed"),
    ):
        answer = server.ask("GET", f"/fhir/r5/CodeSystem/$subsumes?system={quote(ICD)}&codeA={a}&codeB={b}")
        assert answer.json["parameter"][0]["valueCode"] == outcome
    looked_up = server.ask("GET", f"/fhir/r5/CodeSystem/$lookup?system={quote(ICD)}&code=G40.909&property=parent").json
    parts = [one["part"] for one in looked_up["parameter"] if one["name"] == "property"]
    assert {"name": "value", "valueCode": "G40.90"} in parts[0]
    store.close()


def test_what_the_code_system_says_itself_counts_besides(sqlite_database_url: str) -> None:
    store = open_store(settings := Settings(database=sqlite_database_url, content="", resource_types="*"))
    server = InProcess(settings, store)
    group = {"code": "G40-G47", "concept": [{"code": "G40", "concept": [{"code": "G40.9"}]}]}
    put(server, {**FRAGMENT, "content": "complete", "concept": [group]})
    for code in ("G40", "G40.9", "G40-G47"):
        put(
            server,
            {"resourceType": "Medication", "id": named(code), "code": {"coding": [{"system": ICD, "code": code}]}},
        )
    assert sorted(ask(server, "/fhir/r5", "above", ICD, "G40.9").ids) == ["G40", "G40-9", "G40-G47"]
    assert sorted(ask(server, "/fhir/r5", "below", ICD, "G40-G47").ids) == ["G40", "G40-9", "G40-G47"]
    store.close()
