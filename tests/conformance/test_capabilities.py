"""Every claim of the CapabilityStatement is proved by a request: https://hl7.org/fhir/R5/capabilitystatement.html

The statement comes from the server over the shipped content, and every request asks for strict handling, so that a
parameter that is claimed and does not run is an error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from apothecary.fhir.definitions import definitions
from apothecary.fhir.family import MEDICATION_FAMILY
from apothecary.fhir.releases import FhirVersion
from tests.conformance.harness import Answer, InProcess
from tests.mass import much
from tests.versions.corpus import broken_rules, refused_by_models

pytestmark = pytest.mark.slow

STRICT = {"Prefer": "handling=strict"}
# The FHIR version of every base; /fhir is what it is set to by default.
BASES = {"/fhir": FhirVersion.R5, **{f"/fhir/{version.segment}": version for version in FhirVersion}}
TYPES = {
    version: sorted(set(MEDICATION_FAMILY) & set(definitions(version).resource_types())) for version in FhirVersion
}
# Every type on the base of every version that has it.
PLACES = [(f"/fhir/{version.segment}", one) for version in FhirVersion for one in TYPES[version]]
SOME = much(PLACES[::7], PLACES)

# A value that a parameter of each type can take.
VALUES = {
    "token": "http://example.org/system|code",
    "composite": "x$5",
    "string": "clon",
    "date": "ge2026-01",
    "number": "1",
    "quantity": "0.5|http://unitsofmeasure.org|mg",
    "reference": "Medication/clonazepam",
    "uri": "http://example.org/",
    "special": "clonazepam",
}
# What some parameters take instead.
NAMED = {"_id": "x", "strength-concentration-ratio": "5$5", "strength-presentation-ratio": "5$5"}
# What some modifiers take instead.
MODIFIED = {
    ("token", ":of-type"): "s|c|v",
    ("token", ":in"): "http://hl7.org/fhir/ValueSet/administrative-gender",
    ("token", ":not-in"): "http://hl7.org/fhir/ValueSet/administrative-gender",
    ("token", ":above"): "http://hl7.org/fhir/administrative-gender|female",
    ("token", ":below"): "http://hl7.org/fhir/administrative-gender|female",
}
# Parameters that look at no element, each with a search that uses it; `_query` is proved where there are queries.
SPECIAL = {
    "_filter": "_filter=_id%20eq%20x",
    "_has": "_has:Provenance:target:_id=x",
    "_list": "_list=x",
    "_in": "_in=List/x",
    "_type": "_type=Medication",
}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def statement(server: InProcess, base: str) -> Any:
    answer = server.ask("GET", f"{base}/metadata")
    assert answer.status == 200
    return answer.json


def claimed(server: InProcess, base: str, resource_type: str) -> Any:
    """What the statement says of one type."""
    (one,) = (one for one in statement(server, base)["rest"][0]["resource"] if one["type"] == resource_type)
    return one


def total(server: InProcess, address: str) -> int:
    answer = server.ask("GET", address, STRICT)
    assert answer.status == 200, (address, answer.body)
    return int(answer.json["total"])


@pytest.mark.parametrize("base", BASES)
def test_the_statement_is_valid_and_names_each_type_once(content_server: InProcess, base: str) -> None:
    found, version = statement(content_server, base), BASES[base]
    assert broken_rules(found, version) == set()
    assert refused_by_models(found, version) is None
    assert found["fhirVersion"] == version.number
    assert found["implementation"]["url"] == content_server.address + base
    assert [one["type"] for one in found["rest"][0]["resource"]] == TYPES[version]


@pytest.mark.parametrize("version", FhirVersion)
def test_a_standard_parameter_is_claimed_with_the_definition_of_its_version(
    content_server: InProcess, version: FhirVersion
) -> None:
    for resource in statement(content_server, f"/fhir/{version.segment}")["rest"][0]["resource"]:
        standard = definitions(version).search_parameters(resource["type"])
        for one in resource["searchParam"]:
            if one.get("definition", "").startswith("http://hl7.org/"):
                assert one["definition"] == standard[one["name"]].url


@pytest.mark.mass
@pytest.mark.parametrize(("base", "resource_type"), SOME)
def test_every_search_parameter_answers_with_a_value_and_with_missing(
    content_server: InProcess, base: str, resource_type: str
) -> None:
    address = f"{base}/{resource_type}"
    everything = total(content_server, f"{address}?_summary=count")
    parameters = claimed(content_server, base, resource_type)["searchParam"]
    assert len(parameters) >= 6
    for one in parameters:
        if one["name"] in SPECIAL:
            answer = content_server.ask("GET", f"{address}?{SPECIAL[one['name']]}", STRICT)
            assert (answer.status, answer.ids) == (200, []), (one, answer.body)
            continue
        value = NAMED.get(one["name"], VALUES[one["type"]])
        answer = content_server.ask("GET", f"{address}?{one['name']}={value}", STRICT)
        assert answer.status == 200, (one, answer.body)
        assert one["name"] in answer.links["self"]
        halves = [
            total(content_server, f"{address}?{one['name']}:missing={half}&_count=0") for half in ("true", "false")
        ]
        assert sum(halves) == everything, one


@pytest.mark.mass
@pytest.mark.parametrize(("base", "resource_type"), SOME)
def test_every_modifier_that_the_documentation_of_a_parameter_names_is_taken(
    content_server: InProcess, base: str, resource_type: str
) -> None:
    for one in claimed(content_server, base, resource_type)["searchParam"]:
        for modifier in one.get("documentation", "").rpartition("Modifiers: ")[2].rstrip(".").split():
            value = MODIFIED.get((one["type"], modifier), {":missing": "true"}.get(modifier, VALUES[one["type"]]))
            if modifier == ":[type]":
                parameter = content_server.service.registry(BASES[base]).get(resource_type, one["name"])
                assert parameter is not None
                target = next(iter(parameter.targets), "Resource")
                modifier, value = f":{'Medication' if target == 'Resource' else target}", "x"
            value = "x" if one["name"] == "_id" and modifier == ":not" else value
            answer = content_server.ask("GET", f"{base}/{resource_type}?{one['name']}{modifier}={value}", STRICT)
            assert answer.status == 200, (one, modifier, answer.body)


@pytest.mark.mass
@pytest.mark.parametrize(("base", "resource_type"), SOME)
def test_every_include_runs_both_ways(content_server: InProcess, base: str, resource_type: str) -> None:
    one = claimed(content_server, base, resource_type)
    for name, values in (("_include", one["searchInclude"]), ("_revinclude", one.get("searchRevInclude", ()))):
        for value in values:
            for modifier in ("", ":iterate"):
                address = f"{base}/{resource_type}?{name}{modifier}={value}&_count=2"
                answer = content_server.ask("GET", address, STRICT)
                assert answer.status == 200, (address, answer.body)
                assert value in answer.links["self"]


Proof = Callable[[InProcess, str, str], Answer]


def sample(server: InProcess, base: str, resource_type: str) -> str | None:
    """The id of some resource of the type; None where the content has none."""
    return next(iter(server.ask("GET", f"{base}/{resource_type}?_count=1").ids), None)


def of_a_sample(path: str) -> Proof:
    def prove(server: InProcess, base: str, resource_type: str) -> Answer:
        identity = sample(server, base, resource_type)
        if identity is None:
            # Of a type without resources, the interaction shows itself by naming what is not there.
            missing = server.ask("GET", f"{base}/{resource_type}/none{path}")
            assert missing.status == 404
            assert missing.json["issue"][0]["code"] == "not-found"
            return server.ask("GET", f"{base}/{resource_type}")
        return server.ask("GET", f"{base}/{resource_type}/{identity}{path}")

    return prove


def simply(method: str, path: str, body: str | None = None, headers: dict[str, str] | None = None) -> Proof:
    return lambda server, base, resource_type: server.ask(method, base + path.format(type=resource_type), headers, body)


READING: dict[str, Proof] = {
    "read": of_a_sample(""),
    "vread": of_a_sample("/_history/1"),
    "history-instance": of_a_sample("/_history"),
    "history-type": simply("GET", "/{type}/_history?_count=1"),
    "search-type": simply("POST", "/{type}/_search", "_count=1", FORM),
    "search-system": simply("GET", "?_count=1"),
    "history-system": simply("GET", "/_history?_count=1"),
}
# What changes the content is proved by the tests of the writing interactions, on a server of their own.
WRITING = {"create", "update", "patch", "delete", "transaction", "batch"}


@pytest.mark.parametrize("base", BASES)
def test_every_reading_interaction_answers(content_server: InProcess, base: str) -> None:
    rest = statement(content_server, base)["rest"][0]
    for one in rest["resource"]:
        codes = {interaction["code"] for interaction in one["interaction"]}
        assert codes - WRITING <= READING.keys()
        for code in sorted(codes & READING.keys()):
            answer = READING[code](content_server, base, one["type"])
            assert answer.status == 200, (one["type"], code, answer.body)
    for interaction in rest["interaction"]:
        if interaction["code"] not in WRITING:
            assert READING[interaction["code"]](content_server, base, "").status == 200


@pytest.mark.parametrize("resource_type", ["Medication", "ClinicalUseDefinition"])
def test_a_conditional_read_saves_the_body_as_claimed(content_server: InProcess, resource_type: str) -> None:
    assert claimed(content_server, "/fhir", resource_type)["conditionalRead"] == "full-support"
    address = f"/fhir/{resource_type}/{sample(content_server, '/fhir', resource_type)}"
    first = content_server.ask("GET", address)
    for header, value in (
        ("If-None-Match", first.headers["etag"]),
        ("If-Modified-Since", first.headers["last-modified"]),
    ):
        again = content_server.ask("GET", address, {header: value})
        assert (again.status, again.body) == (304, b"")


def test_every_format_is_spoken_and_no_other(content_server: InProcess) -> None:
    for one in statement(content_server, "/fhir")["format"]:
        answer = content_server.ask("GET", f"/fhir/Medication?_format={one.replace('+', '%2B')}")
        assert answer.status == 200
        assert answer.headers["content-type"].startswith(f"application/fhir+{one.rpartition('+')[2]}")
    assert content_server.ask("GET", "/fhir/metadata?_format=ttl").status == 406


def test_parameters_claimed_for_the_system_work_over_all_types(content_server: InProcess) -> None:
    for one in statement(content_server, "/fhir")["rest"][0]["searchParam"]:
        value = "x" if one["name"] == "_id" else VALUES[one["type"]]
        criterion = SPECIAL.get(one["name"], f"{one['name']}={value}")
        answer = content_server.ask("GET", f"/fhir?{criterion}&_count=1", STRICT)
        assert answer.status == 200, (one, answer.body)


@pytest.mark.parametrize("closed", [{"host": "0.0.0.0"}, {"read_only": True}])  # noqa: S104 (nothing listens)
def test_a_read_only_server_claims_no_writing_and_takes_none(content_server: InProcess, closed: dict[str, Any]) -> None:
    server = InProcess(replace(content_server.settings, **closed), content_server.store)
    rest = statement(server, "/fhir")["rest"][0]
    codes = {one["code"] for resource in rest["resource"] for one in resource["interaction"]}
    codes |= {one["code"] for one in rest["interaction"]}
    assert not codes & WRITING
    assert "Read-only" in rest["documentation"]
    body = '{"resourceType": "Medication"}'
    answer = server.ask("POST", "/fhir/Medication", {"Content-Type": "application/fhir+json"}, body)
    assert answer.status == 403
    assert rest["documentation"].removeprefix("Read-only: ").partition(". ")[0] in answer.body.decode()


def test_the_statement_is_cached_by_its_etag(content_server: InProcess) -> None:
    first = content_server.ask("GET", "/fhir/metadata")
    again = content_server.ask("GET", "/fhir/metadata", {"If-None-Match": first.headers["etag"]})
    assert (again.status, again.body) == (304, b"")
