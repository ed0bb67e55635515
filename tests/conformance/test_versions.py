"""One content in three FHIR versions over HTTP: whatever was written in one is valid in the others.
https://hl7.org/fhir/R5/versioning.html
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from apothecary.fhir.definitions import definitions
from apothecary.fhir.json import dumps, parse
from apothecary.fhir.releases import FhirVersion
from apothecary.settings import Settings
from apothecary.store.open import open_store
from tests.conformance.harness import InProcess, table, told
from tests.conformance.test_cases import check, title
from tests.conformance.walk import forwards
from tests.databases import session_database
from tests.versions.corpus import broken_rules, content, refused_by_models, vendored
from tests.versions.test_validity import KNOWN, UNREADABLE

REQUESTS = [case for section in table("versions-content.yaml").values() for case in section]
JSON_HEADERS = {"Content-Type": "application/fhir+json"}


def base_of(version: FhirVersion) -> str:
    return f"/fhir/{version.segment}"


def assert_readable(resource: Any, version: FhirVersion, already: frozenset[str] = frozenset()) -> None:
    """Fails where the validator or the models of fhir.resources find a fault that is not one of the original."""
    assert broken_rules(resource, version) - already <= KNOWN.keys()
    refusal = refused_by_models(resource, version)
    assert refusal is None or any(known in refusal for known in UNREADABLE), refusal


@pytest.mark.parametrize("case", REQUESTS, ids=title)
def test_a_request_to_the_shipped_content_is_answered_as_the_table_says(
    content_server: InProcess, case: dict[str, Any]
) -> None:
    check(content_server, case)


@pytest.mark.parametrize("version", FhirVersion)
def test_every_file_of_the_content_is_readable_on_every_base_that_has_its_type(
    content_server: InProcess, version: FhirVersion
) -> None:
    for file in content():
        kind = file.parent.name
        answer = content_server.ask("GET", f"{base_of(version)}/{kind}/{file.stem}")
        if not definitions(version).is_resource_type(kind):
            assert answer.status == 404
            assert kind in told(answer.json["issue"][0])
            continue
        assert answer.status == 200, answer.body
        assert f"fhirVersion={version.mime}" in answer.headers["content-type"]
        assert answer.json["id"] == file.stem
        assert_readable(answer.json, version)


@pytest.mark.parametrize("version", FhirVersion)
@pytest.mark.parametrize("path", ["", "/_history", "/MedicationKnowledge?_include=*&_include:iterate=*"])
def test_bundles_hold_resources_of_their_version_only(
    content_server: InProcess, version: FhirVersion, path: str
) -> None:
    address = f"{base_of(version)}{path}{'&' if '?' in path else '?'}_count=50"
    for page in forwards(content_server, address):
        bundle = page.json
        # Only what this version has no type for is elsewhere.
        inside = [url for relation, url in page.links.items() if relation != "alternate"]
        assert all(url.startswith(content_server.address + base_of(version)) for url in inside)
        # A deletion in a history has no resource.
        kinds = {one["resource"]["resourceType"] for one in bundle["entry"] if "resource" in one}
        assert all(definitions(version).is_resource_type(kind) for kind in kinds)
        assert_readable(bundle, version)


def test_every_base_has_the_same_resources_of_the_types_that_it_has(content_server: InProcess) -> None:
    newest = {one for page in forwards(content_server, "/fhir/r5?_count=100") for one in page.ids}
    for version in (FhirVersion.R4, FhirVersion.R4B):
        missing = newest - {
            one for page in forwards(content_server, f"{base_of(version)}?_count=100") for one in page.ids
        }
        kinds = {file.parent.name for file in content() if file.stem in missing}
        assert all(not definitions(version).is_resource_type(kind) for kind in kinds), (version, missing)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def open_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    """The app over an empty database, which serves every type and lets references point to nothing."""
    with session_database(request, tmp_path_factory) as url:
        settings = Settings(database=url, content="", resource_types="*", references="allowed")
        store = open_store(settings)
        yield InProcess(settings, store)
        store.close()


def writable_examples() -> list[tuple[FhirVersion, Path]]:
    """The vendored examples that a server takes: valid in their own version, and of a type that R5 has."""
    return [
        (version, file)
        for version, file in vendored()
        if definitions(FhirVersion.R5).is_resource_type(parse(file.read_bytes())["resourceType"])
        and not broken_rules(parse(file.read_bytes()), version)
    ]


EXAMPLES = writable_examples()


def test_most_examples_are_written() -> None:
    assert {version for version, _ in EXAMPLES} == set(FhirVersion)
    assert len(EXAMPLES) > len(vendored()) // 2


# Without it a Binary comes as its content.
AS_JSON = {"Accept": "application/fhir+json"}


@pytest.mark.parametrize(("version", "file"), EXAMPLES, ids=lambda value: value.stem if isinstance(value, Path) else "")
def test_an_example_written_in_its_version_is_read_in_all_of_them(
    open_server: InProcess, version: FhirVersion, file: Path
) -> None:
    resource = parse(file.read_bytes())
    kind = resource["resourceType"]
    resource["id"] = f"{version.segment}-{file.stem}"[:64].rstrip("-")
    # What the server writes itself is not compared.
    resource = {key: value for key, value in resource.items() if key != "meta"}
    address = f"/{kind}/{resource['id']}"
    written = open_server.ask("PUT", base_of(version) + address, JSON_HEADERS, dumps(resource).decode())
    assert written.status in (200, 201), written.body
    own = parse(open_server.ask("GET", base_of(version) + address, AS_JSON).body)
    del own["meta"]
    assert dumps(own) == dumps(resource)
    for other in FhirVersion:
        answer = open_server.ask("GET", base_of(other) + address, AS_JSON)
        if definitions(other).is_resource_type(kind):
            assert answer.status == 200, answer.body
            assert_readable(answer.json, other)
            assert open_server.ask("GET", f"{base_of(other)}{address}/_history/1", AS_JSON).body == answer.body
            found = open_server.ask("GET", f"{base_of(other)}/{kind}?_id={resource['id']}", AS_JSON)
            assert found.json["entry"][0]["resource"] == answer.json
        else:
            assert answer.status == 404


@pytest.mark.parametrize(("version", "file"), EXAMPLES, ids=lambda value: value.stem if isinstance(value, Path) else "")
def test_an_example_comes_back_through_convert_as_it_was(
    open_server: InProcess, version: FhirVersion, file: Path
) -> None:
    resource = parse(file.read_bytes())
    for other in FhirVersion:
        if other is version or not definitions(other).is_resource_type(resource["resourceType"]):
            continue
        text = file.read_text(encoding="utf-8")
        there = open_server.ask("POST", f"{base_of(version)}/$convert?target={other}", JSON_HEADERS, text)
        assert there.status == 200, there.body
        assert f"fhirVersion={other.mime}" in there.headers["content-type"]
        if broken_rules(there.json, other):
            # What the other version's rules do not allow is not taken back from it.
            assert_readable(there.json, other)
            continue
        back = open_server.ask("POST", f"{base_of(other)}/$convert?target={version}", JSON_HEADERS, there.body.decode())
        assert back.status == 200, back.body
        assert f"fhirVersion={version.mime}" in back.headers["content-type"]
        assert parse(back.body) == resource
