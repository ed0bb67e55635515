"""HL7's own code systems and value sets are answered from, on every base and both databases, today's before R4's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from apothecary.settings import Settings
from tests.conformance.harness import Answer, InProcess, serving
from tests.databases import session_database

ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
IDENTIFIERS = "http://terminology.hl7.org/CodeSystem/v2-0203"
ENCOUNTERS = "http://terminology.hl7.org/ValueSet/v3-ActEncounterCode"
Item = dict[str, Any]

ENCOUNTER: Item = {
    "resourceType": "Encounter", "id": "e", "status": "finished", "class": {"system": ACT, "code": "ACUTE"},
}  # fmt: skip


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    with (
        session_database(request, tmp_path_factory) as url,
        serving(Settings(database=url, content="", resource_types="*")) as found,
    ):
        headers = {"Content-Type": "application/fhir+json"}
        answer = found.ask("PUT", "/fhir/r4/Encounter/e", headers, json.dumps(ENCOUNTER))
        assert answer.status == 201, answer.body
        yield found


def said(answer: Answer) -> Item:
    """The parameters of an answer by name, those of one value only."""
    assert answer.status == 200, answer.body
    return {
        one["name"]: next(value for key, value in one.items() if key != "name")
        for one in answer.json["parameter"]
        if "part" not in one
    }


ASKED = [
    (f"CodeSystem/$validate-code?url={ACT}&code=AMB", {"result": True, "display": "ambulatory"}),
    (f"CodeSystem/$validate-code?url={ACT}&code=AMBX", {"result": False}),
    (f"CodeSystem/$validate-code?url={ACT}&code=AMB&version=2018-08-12", {"result": True, "version": "2018-08-12"}),
    (f"CodeSystem/$validate-code?url={ACT}&code=AMB&version=1999", {"result": False}),
    (f"CodeSystem/$validate-code?url={IDENTIFIERS}&code=MR&display=Krankenaktennummer&displayLanguage=de",
     {"result": True, "display": "Krankenaktennummer"}),
    (f"CodeSystem/$validate-code?url={IDENTIFIERS}&code=MR&display=Pass&displayLanguage=de", {"result": False}),
    (f"CodeSystem/$lookup?system={IDENTIFIERS}&code=MR&displayLanguage=de", {"display": "Krankenaktennummer"}),
    (f"CodeSystem/$subsumes?system={ACT}&codeA=_ActEncounterCode&codeB=ACUTE", {"outcome": "subsumes"}),
    (f"ValueSet/$validate-code?url={ENCOUNTERS}&system={ACT}&code=ACUTE", {"result": True}),
    (f"ValueSet/$validate-code?url={ENCOUNTERS}&system={ACT}&code=_ActEncounterCode", {"result": False}),
]  # fmt: skip


@pytest.mark.parametrize("release", ["r4", "r4b", "r5"])
@pytest.mark.parametrize(("question", "answer"), ASKED)
def test_the_operations_answer_from_it(server: InProcess, release: str, question: str, answer: Item) -> None:
    told = said(server.ask("GET", f"/fhir/{release}/{question}", {}))
    assert answer.items() <= told.items(), told


def test_a_value_set_by_hierarchy_can_be_listed(server: InProcess) -> None:
    answer = server.ask("GET", f"/fhir/r5/ValueSet/$expand?url={ENCOUNTERS}&excludeNested=true", {})
    assert {"AMB", "IMP", "ACUTE", "VR"} <= {one["code"] for one in answer.json["expansion"]["contains"]}


@pytest.mark.parametrize(
    ("criteria", "count"),
    [
        (f"class:in={ENCOUNTERS}", 1),
        (f"class:not-in={ENCOUNTERS}", 0),
        (f"class:below={ACT}%7CIMP", 1),
        (f"class:below={ACT}%7CAMB", 0),
        (f"class={ACT}%7CACUTE", 1),
    ],
)
def test_searches_know_it(server: InProcess, criteria: str, count: int) -> None:
    answer = server.ask("GET", f"/fhir/r4/Encounter?{criteria}", {"Prefer": "handling=strict"})
    assert answer.status == 200, answer.body
    assert answer.json["total"] == count


def test_the_capabilities_name_it_with_its_version(server: InProcess) -> None:
    listed = {one["uri"]: one for one in server.ask("GET", "/fhir/r4/metadata?mode=terminology", {}).json["codeSystem"]}
    versions = [one["code"] for one in listed[ACT]["version"]]
    assert versions[0] == "9.0.0"
    assert "2018-08-12" in versions
