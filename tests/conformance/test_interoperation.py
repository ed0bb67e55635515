"""What other people's clients and suites send is answered as the specification says, on both databases."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apothecary.content.sync import sync
from apothecary.settings import Settings
from apothecary.store.open import open_store
from tests.conformance.harness import InProcess, Server, served, table
from tests.conformance.test_writes import tell
from tests.databases import session_database

STORIES = {
    f"{section}: {name}": steps
    for section, stories in table("interoperation.yaml").items()
    for name, steps in stories.items()
}
# https://www.rfc-editor.org/rfc/rfc3986#appendix-A, of the URIs that a link can be.
_PCHAR = r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@]|%[0-9A-Fa-f]{2})"
URI = re.compile(rf"https?://[A-Za-z0-9.\-]+(?::\d+)?(?:/{_PCHAR}*)*(?:\?(?:{_PCHAR}|[/?])*)?")
JSON = {"Content-Type": "application/fhir+json"}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def all_types(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    """The app with every resource type over an empty database."""
    with session_database(request, tmp_path_factory) as url:
        chosen = Settings(database=url, content="", resource_types="*")
        store = open_store(chosen)
        yield InProcess(chosen, store)
        store.close()


@pytest.mark.parametrize("name", STORIES)
def test_a_story_comes_true(all_types: InProcess, name: str) -> None:
    tell(all_types, STORIES[name])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(["identifier", "code", "code:text-advanced", "serial-number", "_text", "bogus", "_tag"]),
    value=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12)
    | st.sampled_from(
        ["sys|", "|", "http://ex.org/a b|<c>", 'a"b', "a{b}^`\\\\", "ä|ö", "a%b", "[x]", "#", "a+b", "1;2"]
    ),
)
def test_every_link_of_every_bundle_is_a_uri(all_types: InProcess, name: str, value: str) -> None:
    asked = f"{name}={quote(value, safe='')}"
    all_types.ask("PUT", "/fhir/Medication/uri-1", JSON, json.dumps({"resourceType": "Medication", "id": "uri-1"}))
    all_types.ask("PUT", "/fhir/Medication/uri-2", JSON, json.dumps({"resourceType": "Medication", "id": "uri-2"}))
    for path in (
        f"Medication?{asked}",
        f"Medication?{asked}&_count=1&_sort=_id",
        f"Medication?{name}:not={quote(value, safe='')}&_count=1",
        f"Medication?identifier:not={quote(value, safe='')}&_count=1",
        f"Medication/_history?_count=1&_format={quote(value, safe='')}",
        "Medication/_history?_count=1",
    ):
        answer = all_types.ask("GET", f"/fhir/r4/{path}")
        assert answer.status < 500
        if answer.status == 200:
            for url in answer.links.values():
                assert URI.fullmatch(url), url
                assert all_types.ask("GET", url).status == 200


def test_a_pattern_of_uris_knows_a_bare_bar_from_an_encoded_one() -> None:
    assert URI.fullmatch("http://localhost/fhir/Medication?identifier=sys%7C&_count=1")
    assert not URI.fullmatch("http://localhost/fhir/Medication?identifier=sys|&_count=1")


@pytest.mark.parametrize(
    "public", ["https://drugs.example/fhir", "https://drugs.example/r4", "http://x.example:8443/a/b/"]
)
def test_the_public_address_is_own_whatever_host_a_request_names(database_url: str, public: str) -> None:
    chosen = Settings(database=database_url, content="", base_url=public)
    store = open_store(chosen)
    server = InProcess(chosen, store)
    root = public.rstrip("/")
    put(server, {"resourceType": "Organization", "id": "o", "name": "O"})
    for number, base in enumerate((root, f"{root}/r4", f"{root}/r4b", f"{root}/r5")):
        put(server, {"resourceType": "Medication", "id": f"m{number}", **holder(f"{base}/Organization/o")})
    put(server, {"resourceType": "Medication", "id": "other", **holder("http://localhost/fhir/Organization/o")})
    found = server.ask("GET", f"/fhir/Medication?marketingauthorizationholder={root}/r4/Organization/o")
    assert found.ids == ["m0", "m1", "m2", "m3"]
    store.close()


def test_what_is_stored_follows_a_new_public_address_at_the_next_start(database_url: str) -> None:
    before = Settings(database=database_url, content="", base_url="https://old.example/fhir")
    store = open_store(before)
    sync(before, store)
    server = InProcess(before, store)
    put(server, {"resourceType": "Organization", "id": "o", "name": "O"})
    put(server, {"resourceType": "Medication", "id": "old", **holder("https://old.example/fhir/Organization/o")})
    put(server, {"resourceType": "Medication", "id": "new", **holder("https://new.example/fhir/r4/Organization/o")})
    query = "/fhir/r4/Medication?manufacturer.identifier:missing=true&manufacturer=Organization/o"
    assert server.ask("GET", query).ids == ["old"]
    after = Settings(database=database_url, content="", base_url="https://new.example/fhir")
    sync(after, store)
    assert InProcess(after, store).ask("GET", query).ids == ["new"]
    store.close()


def test_content_may_point_to_the_address_at_which_it_is_served(database_url: str, tmp_path: Path) -> None:
    (tmp_path / "Organization").mkdir()
    (tmp_path / "Medication").mkdir()
    (tmp_path / "Organization/o.json").write_text('{"resourceType": "Organization", "id": "o", "name": "O"}')
    for name, target in (("m", "o"), ("n", "none")):
        value = {
            "resourceType": "Medication",
            "id": name,
            **holder(f"http://localhost:8080/fhir/r5/Organization/{target}"),
        }
        (tmp_path / f"Medication/{name}.json").write_text(json.dumps(value))
    chosen = Settings(database=database_url, content=str(tmp_path))
    store = open_store(chosen)
    report = sync(chosen, store)
    assert len(report.dangling) == 1
    assert "Organization/none" in report.dangling[0]
    assert InProcess(chosen, store).ask("GET", "/fhir/Medication?marketingauthorizationholder.name=O").ids == ["m"]
    store.close()


@pytest.mark.slow
def test_own_addresses_are_own_over_real_http(database_url: str) -> None:
    with served({"database": database_url, "content": ""}) as live:
        put(live, {"resourceType": "Organization", "id": "o", "name": "O"})
        put(live, {"resourceType": "Medication", "id": "m", **holder(f"{live.address}/fhir/r4/Organization/o")})
        assert live.ask("GET", "/fhir/r5/Medication?marketingauthorizationholder=Organization/o").ids == ["m"]
        assert live.ask("DELETE", "/fhir/Organization/o").status == 409


def test_many_matches_are_not_counted_unless_the_client_asks(empty_server: InProcess) -> None:
    entries = [
        {
            "request": {"method": "PUT", "url": f"Substance/many-{number}"},
            "resource": {
                "resourceType": "Substance",
                "id": f"many-{number}",
                "status": "active" if number < 200 else "inactive",
                "identifier": [{"system": "http://ex.org/many", "value": "all"}],
                "instance": False,
                "code": {"concept": {"text": "many"}},
            },
        }
        for number in range(201)
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    assert empty_server.ask("POST", "/fhir/r5", JSON, json.dumps(bundle)).status == 200
    asked = "/fhir/r5/Substance?identifier=http://ex.org/many%7Call"
    for _ in range(2):
        assert "total" not in empty_server.ask("GET", asked).json
    assert empty_server.ask("GET", f"{asked}&status=active").json["total"] == 200
    assert empty_server.ask("GET", f"{asked}&_total=accurate").json["total"] == 201
    last = empty_server.ask("GET", empty_server.ask("GET", f"{asked}&status=active&_count=150").links["next"])
    assert (len(last.ids), last.json["total"]) == (50, 200)


def holder(reference: str) -> dict[str, object]:
    return {"marketingAuthorizationHolder": {"reference": reference}}


def put(server: Server, resource: dict[str, object]) -> None:
    path = f"/fhir/r5/{resource['resourceType']}/{resource['id']}"
    answer = server.ask("PUT", path, JSON, json.dumps(resource))
    assert answer.status in (200, 201), answer.body
