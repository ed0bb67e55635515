"""No body makes the server fail: whatever is sent, the answer is below 500, and an error says what is wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apothecary.settings import Settings
from apothecary.store.open import open_store
from tests.conformance.harness import BASE, InProcess, problems
from tests.mass import much

pytestmark = [pytest.mark.slow, pytest.mark.mass]

TOLERANT = settings(max_examples=much(50, 250), deadline=None, suppress_health_check=list(HealthCheck))
FHIR = {"Content-Type": "application/fhir+json"}
PATCH = {"Content-Type": "application/json-patch+json"}

# fmt: off
KEYS = (
    "resourceType", "id", "meta", "tag", "text", "div", "extension", "url", "valueUri", "identifier", "system", "value",
    "status", "_status", "code", "coding", "ingredient", "item", "concept", "reference", "contained", "parameter",
    "name", "part", "valueCode", "valueString", "entry", "request", "method", "fullUrl", "resource", "ifMatch",
    "ifNoneExist", "type", "op", "path", "from", "data", "versionId", "lastUpdated", "valueMeta", "valueInteger",
)
WORDS = (
    "", " ", "Medication", "medication", "Organization", "Parameters", "Bundle", "Binary", "transaction", "batch",
    "POST", "PUT", "PATCH", "DELETE", "GET", "HEAD", "operation", "add", "insert", "delete", "replace", "move", "index",
    "destination", "source", "Medication.status", "Medication.ingredient[0]", "Medication.code.coding.where(a='",
    "active", "/status", "/meta/tag/-", "/a~2", "Medication/m-amox", "Medication?code=1", "Medication?",
    "Organization?bogus=1", "#a", "urn:uuid:1", "W/\"1\"", "*", "e30=", "W10=", "\0", "\ud800", "\U0001f600", "<div/>",
    "http://[", "a" * 65, "..", "%", "%00", "metadata", "_history", "$meta", "Medication/m-amox/_history/1", "?", "/",
)
# fmt: on
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([1e308, -0.0, 10**30]),
    st.sampled_from(WORDS),
    st.text(max_size=5),
)
documents = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=3), inner, max_size=5)
    ),
    max_leaves=15,
)
words = st.sampled_from(WORDS)
resources = st.builds(
    lambda kind, rest: {**rest, "resourceType": kind},
    st.sampled_from(["Medication", "Organization", "Binary", "Parameters", "Bundle"]),
    st.dictionaries(st.sampled_from(KEYS), documents, max_size=4),
)
parts = st.lists(
    st.dictionaries(
        st.sampled_from(["name", "valueCode", "valueString", "valueInteger", "part"]), words | scalars, max_size=3
    ),
    max_size=5,
)
fhirpath = st.builds(
    lambda kind, path, name, index, rest: {
        "resourceType": "Parameters",
        "parameter": [
            {
                "name": "operation",
                "part": [
                    {"name": "type", "valueCode": kind},
                    {"name": "path", "valueString": path},
                    *([{"name": "name", "valueString": name}] if kind == "add" else []),
                    *([{"name": "index", "valueInteger": index}] if kind == "insert" else []),
                    *(
                        [{"name": one, "valueInteger": index} for one in ("source", "destination")]
                        if kind == "move"
                        else []
                    ),
                    *([{"name": "value", **rest}] if kind in ("add", "insert", "replace") else []),
                ],
            }
        ],
    },
    st.sampled_from(["add", "insert", "delete", "replace", "move"]),
    st.sampled_from(
        [
            "Medication",
            "Medication.status",
            "Medication.ingredient",
            "Medication.ingredient[0].item",
            "Medication.code.coding",
            "Medication.extension",
            "Medication.identifier.where(system = 'http://ex.org/sku').value",
            "Medication.batch.lotNumber",
            "Organization.name",
            "name",
            "status",
            "Medication.",
            "Medication..code",
            "Medication.code.coding[99]",
            "$this",
            "%x",
            "Medication.ingredient.item.concept.coding.code",
            "Medication.text.div",
            "Medication.id",
            "Medication.meta.tag",
        ]
    )
    | st.text(max_size=8),
    words,
    st.integers(0, 3),
    st.dictionaries(
        st.sampled_from(["valueCode", "valueString", "valueDecimal", "valueCoding", "part", "_valueCode"]),
        documents,
        min_size=1,
        max_size=1,
    ),
)
operations = st.lists(
    st.builds(
        lambda kind, path, source, value: {"op": kind, "path": path, "from": source, "value": value},
        st.sampled_from(["add", "remove", "replace", "move", "copy", "test", ""]),
        st.sampled_from(
            [
                "/status",
                "/meta",
                "/meta/tag",
                "/meta/tag/0",
                "/meta/tag/-",
                "",
                "/",
                "/id",
                "/code/coding/9",
                "/ingredient/-1",
                "a",
                "/~",
            ]
        ),
        st.sampled_from(["/status", "/meta", "/code", "/none", "", "a"]),
        documents,
    )
    | documents,
    max_size=3,
)
requests = st.fixed_dictionaries(
    {
        "method": st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]) | words,
        "url": words | st.text(max_size=8),
    },
    optional={"ifMatch": words, "ifNoneMatch": words, "ifNoneExist": words, "ifModifiedSince": words},
)
entries = st.fixed_dictionaries(
    {"request": requests | documents}, optional={"fullUrl": words, "resource": resources | fhirpath | documents}
)
bundles = st.builds(
    lambda kind, entries: {"resourceType": "Bundle", "type": kind, "entry": entries},
    st.sampled_from(["batch", "transaction"]),
    st.lists(entries | documents, min_size=1, max_size=3),
)


def send(server: InProcess, method: str, path: str, headers: dict[str, str], body: Any) -> None:
    send_text(server, method, path, headers, json.dumps(body))


def send_text(server: InProcess, method: str, path: str, headers: dict[str, str], text: str) -> None:
    answer = server.ask(method, f"{BASE}{path}", headers, text)
    assert answer.status < 500, (method, path, text, answer.body)
    if answer.status >= 400:
        problems(answer)


@TOLERANT
@given(body=resources | documents)
@pytest.mark.parametrize(
    "path", ["/Medication", "/Organization", "/$validate", "/Medication/m-amox/$meta-add", "/Medication/$validate"]
)
def test_any_document_is_taken_or_refused(scratch: InProcess, path: str, body: Any) -> None:
    send(scratch, "POST", path, FHIR, body)


@TOLERANT
@given(body=bundles)
def test_any_bundle_is_taken_or_refused(scratch: InProcess, body: Any) -> None:
    send(scratch, "POST", "", FHIR, body)


@TOLERANT
@given(body=operations)
def test_any_json_patch_is_taken_or_refused(scratch: InProcess, body: Any) -> None:
    send(scratch, "PATCH", "/Medication/m-amox", PATCH, body)


@TOLERANT
@given(
    body=fhirpath
    | st.builds(
        lambda parts: {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]}, parts
    )
)
def test_any_fhirpath_patch_is_taken_or_refused(scratch: InProcess, body: Any) -> None:
    send(scratch, "PATCH", "/Medication/m-amox", FHIR, body)


@TOLERANT
@given(text=st.text(max_size=40) | st.text(st.sampled_from('{}[]",:0123456789eE+-.\\u \n\ttrufalsn'), max_size=40))
def test_any_text_is_taken_or_refused(scratch: InProcess, text: str) -> None:
    send_text(scratch, "POST", "/Medication", FHIR, text)


@TOLERANT
@given(
    header=st.sampled_from(["If-Match", "If-None-Match", "If-None-Exist", "Prefer", "Content-Type", "Accept"]),
    value=words | st.text(st.characters(codec="latin-1", exclude_categories=("Cc",)), max_size=10),
)
def test_any_header_is_taken_or_refused(scratch: InProcess, header: str, value: str) -> None:
    value = "".join(one for one in value if one.isprintable() and one <= "\xff")
    send(scratch, "PUT", "/Medication/m-amox", FHIR | {header: value}, {"resourceType": "Medication", "id": "m-amox"})
    send(scratch, "POST", "/Medication", FHIR | {header: value}, {"resourceType": "Medication"})


def deep(opening: str, closing: str, depth: int) -> str:
    return opening * depth + "1" + closing * depth


def deletion(path: str) -> str:
    parts = [{"name": "type", "valueCode": "delete"}, {"name": "path", "valueString": path}]
    return json.dumps({"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]})


def medication(rest: str) -> str:
    return f'{{"resourceType":"Medication",{rest}}}'


CREATE, TRANSACT, CHANGE = ("POST", "/Medication"), ("POST", ""), ("PATCH", "/Medication/m-amox")
EXTREMES: dict[str, tuple[tuple[str, str], dict[str, str], str]] = {
    "unclosed objects": (CREATE, FHIR, medication('"code":' + '{"coding":[' * 5000)),
    "extensions in extensions": (CREATE, FHIR, medication('"extension":' + deep('[{"extension":', "}]", 300))),
    "open brackets": (CREATE, FHIR, "[" * 100_000),
    "a number of many digits": (CREATE, FHIR, medication('"x":' + "9" * 10_000)),
    "a large exponent": (CREATE, FHIR, medication('"totalVolume":{"value":1e400}')),
    "a huge exponent": (CREATE, FHIR, medication('"totalVolume":{"value":1e999999999999}')),
    "a deep value in a patch": (CHANGE, PATCH, '[{"op":"add","path":"/x","value":' + deep("[", "]", 400) + "}]"),
    "a deep pointer": (CHANGE, PATCH, '[{"op":"add","path":"' + "/a" * 5000 + '","value":1}]'),
    "a deep path": (CHANGE, FHIR, deletion("Medication" + ".code" * 3000)),
    "open parentheses": (CHANGE, FHIR, deletion("(" * 3000)),
    "a deep entry": (
        TRANSACT,
        FHIR,
        '{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"POST","url":"Medication"},'
        f'"resource":{deep(chr(123) + chr(34) + "a" + chr(34) + ":", "}", 300)}}}]}}',
    ),
}


@pytest.mark.parametrize("name", EXTREMES)
def test_what_is_deep_long_or_large_is_taken_or_refused(scratch: InProcess, name: str) -> None:
    (method, path), headers, body = EXTREMES[name]
    send_text(scratch, method, path, headers, body)


@pytest.fixture
def scratch(emptied_url: str) -> Any:
    """A server of the test's own, with one Medication."""
    given_settings = Settings(database=emptied_url, content="")
    store = open_store(given_settings)
    live = InProcess(given_settings, store)
    live.ask(
        "PUT",
        f"{BASE}/Medication/m-amox",
        FHIR,
        json.dumps({"resourceType": "Medication", "id": "m-amox", "status": "active"}),
    )
    yield live
    store.close()
