"""JSON, XML, YAML and NDJSON: every interaction speaks them, and they say the same. https://hl7.org/fhir/R5/formats.html"""

from __future__ import annotations

import json
import random
import zlib
from collections.abc import Iterator
from itertools import islice
from typing import Any
from urllib.parse import quote

import pytest
import yaml
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from apothecary.content.read import read_bytes
from apothecary.content.write import NoText, xml_text, yaml_text
from apothecary.content.xhtml import canonical_xhtml
from apothecary.fhir.definitions import definitions
from apothecary.fhir.json import dumps, parse
from apothecary.fhir.releases import FhirVersion
from apothecary.rest import forms, streams
from apothecary.rest.negotiation import form_of
from tests.official import official_examples, some_examples
from tests.rest.test_limits import serving

TYPES = {"json": "application/fhir+json", "xml": "application/fhir+xml", "yaml": "application/fhir+yaml"}
ORGANIZATION = {
    "resourceType": "Organization",
    "id": "a",
    "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">A &amp; B<br/>ü</div>'},
    "extension": [{"url": "http://ex.org/x", "valueDecimal": 0.5}],
    "name": 'A & <B> "ü"',
    "_name": {"extension": [{"url": "http://ex.org/y", "valueBoolean": True}]},
    "alias": ["one", None],
    "_alias": [None, {"extension": [{"url": "http://ex.org/z", "valueInteger": 0}]}],
}


def comparable(value: Any) -> Any:
    """The same for what says the same: digits count, the way of writing a narrative does not."""
    if isinstance(value, dict):
        found = {key: canonical_xhtml(one) if key == "div" else comparable(one) for key, one in value.items()}
        return {key: one for key, one in found.items() if key != "meta"}
    if isinstance(value, list):
        return [comparable(one) for one in value]
    return value if isinstance(value, str | bool | None) else str(value)


def read(form: str, text: bytes, version: FhirVersion) -> Any:
    if form == "json":
        return parse(text)
    document = read_bytes("x", text, form, version)  # type: ignore[arg-type] # one of the forms, by name
    assert not [one for one in document.issues if one.issue.severity in ("error", "fatal")]
    return document.value


def written(form: str, value: Any, version: FhirVersion) -> bytes:
    return {"json": lambda: dumps(value), "xml": lambda: xml_text(value, version), "yaml": lambda: yaml_text(value)}[
        form
    ]()


@pytest.fixture
def client(emptied_url: str) -> Iterator[FlaskClient]:
    with serving(emptied_url) as made:
        yield made


@pytest.mark.mass
@pytest.mark.slow
@pytest.mark.parametrize("version", list(FhirVersion))
def test_some_official_examples_go_through_xml_and_yaml_to_the_digit(version: FhirVersion) -> None:
    examples = random.Random(7).sample(list(some_examples(version)), 80)
    for number, (_, text) in enumerate(examples):
        forms_of_it = ("xml", "yaml") if number < 10 and len(text) < 50_000 else ("xml",)
        assert all(comes_back(form, text, version) for form in forms_of_it)


@pytest.mark.heavy
@pytest.mark.parametrize("version", list(FhirVersion))
def test_all_official_examples_go_through_xml_to_the_digit(version: FhirVersion) -> None:
    assert [name for name, text in official_examples(version) if not comes_back("xml", text, version)] == []


def comes_back(form: str, text: bytes, version: FhirVersion) -> bool:
    """Whether the resource that `text` writes is the same after it went through a form."""
    resource = parse(text)
    if resource["resourceType"] not in definitions(version).resource_types():
        return True
    return bool(comparable(read(form, written(form, resource, version), version)) == comparable(resource))


@pytest.mark.parametrize("base", ["/fhir", "/fhir/r4", "/fhir/r4b", "/fhir/r5"])
@pytest.mark.parametrize("form", ["xml", "yaml"])
def test_every_interaction_takes_and_gives_the_form(client: FlaskClient, base: str, form: str) -> None:
    version = {"4": FhirVersion.R4, "b": FhirVersion.R4B}.get(base[-1], FhirVersion.R5)
    headers = {"Content-Type": TYPES[form], "Accept": TYPES[form]}

    def value(answer: TestResponse, status: int = 200) -> Any:
        assert answer.status_code == status, answer.data
        kind = answer.headers["Content-Type"]
        assert kind == f"{TYPES[form]}; charset=utf-8; fhirVersion={version.mime}"
        return comparable(read(form, answer.data, version))

    body = written(form, ORGANIZATION, version)
    assert value(client.put(f"{base}/Organization/a", data=body, headers=headers), 201) == comparable(ORGANIZATION)
    made = value(client.post(f"{base}/Organization", data=body, headers=headers), 201)
    assert made["name"] == ORGANIZATION["name"]
    for address in ("Organization/a", "Organization/a/_history/1"):
        answer = client.get(f"{base}/{address}", headers=headers)
        assert value(answer) == comparable(parse(client.get(f"{base}/{address}").data))
        again = client.get(f"{base}/{address}", headers={**headers, "If-None-Match": answer.headers["ETag"]})
        assert (again.status_code, again.data) == (304, b"")
    for address in ("Organization?_id=a", "Organization/a/_history", "_history", "metadata", "Organization?x=1"):
        if form == "yaml" and address == "metadata":
            continue  # It takes seconds, and is tested once.
        assert value(client.get(f"{base}/{address}", headers=headers))["resourceType"] in (
            "Bundle",
            "CapabilityStatement",
        )
    found = client.post(
        f"{base}/Organization/_search",
        data="_id=a",
        headers={**headers, "Content-Type": "application/x-www-form-urlencoded"},
    )
    assert value(found)["entry"][0]["resource"]["id"] == "a"
    outcome = value(client.get(f"{base}/Organization/never", headers=headers), 404)
    assert outcome["resourceType"] == "OperationOutcome"
    value(client.get(f"{base}/Nonesuch", headers=headers), 404)
    value(client.post(f"{base}/Organization", data="{", headers={**headers, "Content-Type": TYPES["json"]}), 400)
    entry = {"request": {"method": "GET", "url": "Organization/a"}}
    batch = written(form, {"resourceType": "Bundle", "type": "batch", "entry": [entry]}, version)
    assert value(client.post(base, data=batch, headers=headers))["entry"][0]["resource"]["id"] == "a"
    parameters = {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": ORGANIZATION}]}
    answer = client.post(f"{base}/Organization/$validate", data=written(form, parameters, version), headers=headers)
    assert value(answer)["resourceType"] == "OperationOutcome"
    change = [
        {"name": "type", "valueCode": "replace"},
        {"name": "path", "valueString": "Organization.name"},
        {"name": "value", "valueString": "C"},
    ]
    patch = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": change}]}
    changed = client.patch(f"{base}/Organization/a", data=written(form, patch, version), headers=headers)
    assert value(changed)["name"] == "C"


@pytest.mark.parametrize(
    ("kind", "body", "said"),
    [
        ("application/fhir+xml", b"<Organization", "line 1"),
        (
            "application/fhir+xml",
            b'<Organization xmlns="http://hl7.org/fhir">\n<nam value="x"/></Organization>',
            "Organization.nam",
        ),
        ("application/fhir+xml", b'<Organization><name value="x"/></Organization>', "namespace"),
        ("text/xml", b'<!DOCTYPE x [<!ENTITY a "b">]><Organization xmlns="http://hl7.org/fhir"/>', "document type"),
        ("application/xml", b"", ""),
        ("application/fhir+xml", b"\xff\xfe", "UTF-16"),
        ("application/fhir+xml", b'{"resourceType": "Organization"}', "line 1"),
        ("application/fhir+yaml", b"resourceType: Organization\nname: [", "line 2"),
        ("application/yaml", b"- a", "resource"),
        ("application/yaml", b"a: &x 1\nb: *y", "alias"),
    ],
)
def test_a_broken_body_is_refused_with_its_place(client: FlaskClient, kind: str, body: bytes, said: str) -> None:
    answer = client.post("/fhir/Organization", data=body, headers={"Content-Type": kind})
    assert answer.status_code == 400
    assert said.lower() in answer.data.decode().lower()


def test_a_body_of_too_many_parts_is_refused_before_it_is_read(client: FlaskClient) -> None:
    body = b'<Organization xmlns="http://hl7.org/fhir">' + b"<name/>" * (2 * forms.ELEMENTS + 1) + b"</Organization>"
    assert client.post("/fhir/Organization", data=body, headers={"Content-Type": TYPES["xml"]}).status_code == 413
    body = b"a: 1\n" * forms.LARGEST_YAML
    assert client.post("/fhir/Organization", data=body, headers={"Content-Type": TYPES["yaml"]}).status_code == 413


def test_the_form_of_the_address_stays_in_the_links_of_a_page(client: FlaskClient) -> None:
    for number in range(3):
        client.put(f"/fhir/Organization/o{number}", json={**ORGANIZATION, "id": f"o{number}"})
    address, seen = "/fhir/Organization?_count=1&_format=application/fhir%2Bxml", []
    while address:
        bundle = read("xml", client.get(address).data, FhirVersion.R5)
        seen += [one["resource"]["id"] for one in bundle["entry"]]
        address = next((one["url"] for one in bundle["link"] if one["relation"] == "next"), "")
        address = address.removeprefix("http://localhost")
    assert seen == ["o0", "o1", "o2"]


def test_what_a_browser_and_curl_are_answered_is_json_as_before(client: FlaskClient) -> None:
    client.put("/fhir/Organization/a", json=ORGANIZATION)
    kinds = [{}, {"Accept": "*/*"}, {"Accept": "application/json"}, {"Accept": "application/*;q=0.2, text/csv"}]
    for headers in kinds:
        assert client.get("/fhir/Organization/a", headers=headers).headers["Content-Type"].startswith(TYPES["json"])


@pytest.mark.parametrize(
    ("accept", "format_", "form"),
    [
        ("application/fhir+xml", None, "xml"),
        ("application/fhir+xml;q=0.5, application/fhir+json", None, "json"),
        ("application/fhir+xml, application/fhir+json", None, "xml"),
        ("text/xml;q=0.9, */*;q=0.1", None, "xml"),
        ("application/fhir+json", "xml", "xml"),
        ("", "application/fhir xml", "xml"),
        ("image/png", None, "json"),
        ("image/png", "nonesuch", "json"),
        ("application/fhir+ndjson", None, "ndjson"),
        ("application/fhir+xml;q=zero", None, "json"),
        ("application/fhir+xml;q=0", None, "json"),
    ],
)
def test_the_form_is_what_is_asked_for(accept: str, format_: str | None, form: str) -> None:
    assert form_of(accept, format_).name == form


@pytest.mark.parametrize(
    "lost",
    [
        {"resourceType": "Organization", "nonesuch": 1},
        {"resourceType": "Organization", "name": {"a": 1}},
        {"resourceType": "Organization", "name": "\x01"},
        {"resourceType": "Organization", "text": {"status": "generated", "div": "<div><b></div>"}},
        {"resourceType": "Organization", "text": {"status": "generated", "div": "<p/>"}},
        {"resourceType": "Organization", "_name": 1},
        {"resourceType": "Organization", "contained": [{"id": "a"}]},
        {"resourceType": "Organization", "id": 1, "type": [{"id": 1}]},
        {"resourceType": "Nonesuch"},
        {},
    ],
)
def test_nothing_is_left_out_of_xml_without_a_word(lost: dict[str, Any]) -> None:
    with pytest.raises(NoText):
        xml_text(lost, FhirVersion.R5)


_TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=20)


@given(st.lists(_TEXTS, min_size=1, max_size=4), st.decimals(allow_nan=False, allow_infinity=False))
def test_any_text_and_number_goes_through_every_form(names: list[str], number: Any) -> None:
    resource = parse(
        dumps({"resourceType": "Organization", "alias": names, "extension": [{"url": "u", "valueDecimal": 1}]})
        .decode()
        .replace(":1}", f":{number}}}")
    )
    for form in ("xml", "yaml"):
        assert comparable(read(form, written(form, resource, FhirVersion.R5), FhirVersion.R5)) == comparable(resource)


def test_a_search_as_ndjson_has_every_match_of_all_pages(client: FlaskClient) -> None:
    for number in range(45):
        client.put(f"/fhir/Organization/o{number}", json={**ORGANIZATION, "id": f"o{number}"})
    for query in ("", "&_count=7", "&_sort=-_id", "&_count=1000"):
        answer = client.get(f"/fhir/Organization?_format=ndjson{query}")
        assert answer.headers["Content-Type"] == "application/fhir+ndjson; charset=utf-8"
        lines = [json.loads(line) for line in answer.data.splitlines()]
        assert {one["id"] for one in lines} == {f"o{number}" for number in range(45)}
        assert len(lines) == 45
    kind = {"Accept": "application/x-ndjson", "Accept-Encoding": "gzip"}
    packed = client.get("/fhir/r4/Organization?_id=o1", headers=kind)
    assert packed.headers["Content-Encoding"] == "gzip"
    assert json.loads(zlib.decompress(packed.data, 31))["id"] == "o1"
    posted = client.post("/fhir/Organization/_search", data={"_id": "o1,o2"}, headers={"Accept": "application/ndjson"})
    assert len(posted.data.splitlines()) == 2
    assert client.head("/fhir/Organization?_format=ndjson").data == b""
    assert client.get("/fhir/Organization?_format=ndjson&_summary=count").status_code == 400
    assert (
        client.get("/fhir/Organization?_format=ndjson&nonesuch=1", headers={"Prefer": "handling=strict"}).status_code
        == 400
    )
    assert client.get("/fhir/Organization/o1?_format=ndjson").status_code == 406
    assert client.get("/fhir/_history?_format=ndjson").status_code == 406


def test_lines_that_are_told_beside_the_matches_are_lines_too(client: FlaskClient) -> None:
    client.put("/fhir/Organization/a", json=ORGANIZATION)
    lines = client.get("/fhir/Organization?_format=ndjson&nonesuch=1").data.splitlines()
    assert [json.loads(one)["resourceType"] for one in lines] == ["Organization", "OperationOutcome"]


def test_a_stream_that_fails_says_so_and_breaks_off() -> None:
    link = {"relation": "next", "url": "http://h/fhir/Organization?_page=x"}
    page = dumps({"resourceType": "Bundle", "link": [link], "entry": [{"resource": {"resourceType": "Organization"}}]})

    def pages(query: str) -> bytes:
        assert query == "_page=x"
        raise OSError("gone")

    lines = iter(streams.Stream(page, pages, [])({"REQUEST_METHOD": "GET"}, lambda *_: lambda _: None))
    first, last = islice(lines, 2)
    assert json.loads(first) == {"resourceType": "Organization"}
    assert json.loads(last)["issue"][0]["severity"] == "fatal"
    with pytest.raises(OSError, match="gone"):
        next(lines)
    assert streams.Stream._open == 0


def test_more_streams_than_there_is_room_for_are_told_to_come_again(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams.Stream, "_open", streams.STREAMS)
    answer = client.get("/fhir/Organization?_format=ndjson")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")


def test_metadata_is_there_as_yaml(client: FlaskClient) -> None:
    statement = yaml.safe_load(client.get(f"/fhir/metadata?_format={quote(TYPES['yaml'])}").data)
    assert statement["resourceType"] == "CapabilityStatement"
