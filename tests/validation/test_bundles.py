"""What the pages ask of bundles, by release and by type of bundle
(https://hl7.org/fhir/R5/bundle.html, https://hl7.org/fhir/R5/documents.html, https://hl7.org/fhir/R5/messaging.html).
"""

from typing import Any, NamedTuple

import pytest

from apothecary.fhir.releases import FhirVersion
from apothecary.validation import validate

R4, R4B, R5 = FhirVersion.R4, FhirVersion.R4B, FhirVersion.R5
BASE = "http://example.org/fhir/"
UUID = "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e"  # One hexadecimal digit short: each test adds its own.


def patient(identity: str = "p", **more: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": identity, **more}


def observation(subject: str, identity: str = "o") -> dict[str, Any]:
    return {"resourceType": "Observation", "id": identity, "status": "final", "subject": {"reference": subject}}


def version(resource: dict[str, Any], number: str) -> dict[str, Any]:
    return {**resource, "meta": {"versionId": number}}


def entry(resource: dict[str, Any], url: str | None = None, **more: Any) -> dict[str, Any]:
    return {"fullUrl": url or f"{BASE}{resource['resourceType']}/{resource['id']}", "resource": resource, **more}


def bare(resource: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"resource": resource, **more}


def request(method: str, url: str) -> dict[str, Any]:
    return {"method": method, "url": url}


def bundle(kind: str, *entries: Any, **more: Any) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": kind, **more, "entry": [*entries]}


def document(*entries: Any, **more: Any) -> dict[str, Any]:
    return bundle("document", *entries, **more)


def composition(author: str = "Patient/p", *held: str) -> dict[str, Any]:
    return {
        "resourceType": "Composition",
        "id": "c",
        "author": [{"reference": author}],
        "section": [{"entry": [{"reference": one}]} for one in held],
    }


def header(*focus: str) -> dict[str, Any]:
    return {"resourceType": "MessageHeader", "id": "m", "focus": [{"reference": one} for one in focus]}


def provenance(target: str, *agents: str) -> dict[str, Any]:
    who = [{"who": {"reference": one}} for one in agents]
    return {"resourceType": "Provenance", "id": "v", "target": [{"reference": target}], "agent": who}


HEAD = entry(composition())
PATIENT = entry(patient())
SHEET = {"resourceType": "Binary", "id": "s", "contentType": "text/css"}
NESTED = {"resourceType": "Bundle", "id": "b", "type": "collection", "entry": [entry(observation("Patient/p"))]}


class Case(NamedTuple):
    """A bundle, the releases it is checked in, and the rules about bundles that it breaks, each with its place."""

    what: str
    bundle: dict[str, Any]
    broken: dict[str, str] = {}  # noqa: RUF012 (a NamedTuple's default, never changed)
    releases: tuple[FhirVersion, ...] = (R4, R4B, R5)


WHOLE = "Bundle.entry[0].resource"
CASES = [
    # What a document or message holds.
    Case("a document with what it refers to", document(HEAD, PATIENT)),
    Case(
        "an author who is not there",
        document(entry(composition("Patient/x"))),
        {"bundle-content": f"{WHOLE}.author[0].reference"},
    ),
    Case(
        "an author on another server",
        document(entry(composition("http://elsewhere.example.org/Patient/p")), PATIENT),
        {"bundle-content": f"{WHOLE}.author[0].reference", "bundle-orphan": "Bundle.entry[1]"},
    ),
    Case(
        "a relative reference beside a urn:uuid",
        document(entry(composition(), f"{UUID}1"), PATIENT),
        {"bundle-content": f"{WHOLE}.author[0].reference"},
    ),
    Case(
        "a relative reference from one base to another",
        document(HEAD, entry(patient(), "http://elsewhere.example.org/Patient/p")),
        {"bundle-content": f"{WHOLE}.author[0].reference", "bundle-orphan": "Bundle.entry[1]"},
    ),
    Case("a urn:uuid as reference", document(entry(composition(f"{UUID}2"), f"{UUID}1"), entry(patient(), f"{UUID}2"))),
    Case(
        "the version that is named",
        document(entry(composition("Patient/p/_history/2")), entry(version(patient(), "2"))),
    ),
    Case("a version that does not say which it is", document(entry(composition("Patient/p/_history/2")), PATIENT)),
    Case(
        "another version than the one that is named",
        document(entry(composition("Patient/p/_history/2")), entry(version(patient(), "1"))),
        {"bundle-content": f"{WHOLE}.author[0].reference", "bundle-orphan": "Bundle.entry[1]"},
    ),
    Case(
        "two versions, of which one is named",
        document(
            entry(composition("Patient/p/_history/1", "Patient/p/_history/2")),
            entry(version(patient(), "2")),
            entry(version(patient(), "1")),
        ),
    ),
    Case("no entry at all", document(), {"bundle-content": "Bundle"}),
    Case("a message without an entry", bundle("message"), {"bundle-content": "Bundle"}),
    Case("a message with its focus", bundle("message", entry(header("Patient/p")), PATIENT)),
    Case(
        "a message without its focus",
        bundle("message", entry(header("Patient/p"))),
        {"bundle-content": f"{WHOLE}.focus[0].reference"},
    ),
    Case("a collection may be headed by anything", bundle("collection", entry(composition("Patient/x")))),
    Case(
        "a stylesheet that is there",
        document(HEAD, PATIENT, entry(SHEET), link=[{"relation": "stylesheet", "url": "Binary/s"}]),
    ),
    Case(
        "a stylesheet that is not there",
        document(HEAD, PATIENT, link=[{"relation": "stylesheet", "url": "Binary/s"}]),
        {"bundle-content": "Bundle.link[0].url"},
    ),
    Case(
        "a stylesheet on the web",
        document(HEAD, PATIENT, link=[{"relation": "stylesheet", "url": "https://example.org/s.css"}]),
    ),
    # Orphans.
    Case(
        "what nothing connects with the document",
        document(HEAD, PATIENT, entry(patient("q"))),
        {"bundle-orphan": "Bundle.entry[2]"},
    ),
    Case(
        "two that know each other and nobody else",
        document(HEAD, PATIENT, entry(observation("Patient/q")), entry(patient("q"))),
        {"bundle-orphan": "Bundle.entry[2]"},
    ),
    Case(
        "what refers to the document, since R5",
        document(HEAD, PATIENT, entry(observation("Patient/p"))),
        releases=(R5,),
    ),
    Case(
        "what refers to the document, before R5",
        document(HEAD, PATIENT, entry(observation("Patient/p"))),
        {"bundle-orphan": "Bundle.entry[2]"},
        (R4, R4B),
    ),
    Case("Provenance refers to the document", document(HEAD, PATIENT, entry(provenance("Patient/p")))),
    Case(
        "who stands behind the Provenance",
        document(HEAD, PATIENT, entry(provenance("Composition/c", "Patient/q")), entry(patient("q"))),
    ),
    Case(
        "what is found by several steps",
        document(HEAD, entry(patient(link=[{"other": {"reference": "Patient/q"}}])), entry(patient("q"))),
    ),
    Case(
        "what refers to the focus of a message",
        bundle("message", entry(header("Patient/p")), PATIENT, entry(observation("Patient/p"))),
    ),
    Case(
        "what stands alone in a message",
        bundle("message", entry(header("Patient/p")), PATIENT, entry(patient("q"))),
        {"bundle-orphan": "Bundle.entry[2]"},
    ),
    Case(
        "a bundle inside refers for itself",
        document(HEAD, PATIENT, entry(NESTED)),
        {"bundle-orphan": "Bundle.entry[2]"},
    ),
    Case("a collection has no orphans", bundle("collection", PATIENT, entry(patient("q")))),
    # References by the rules.
    Case(
        "a reference that only seems to lead there",
        bundle("collection", entry(observation("Patient/p"), f"{UUID}1"), PATIENT),
        {"bundle-reference": f"{WHOLE}.subject.reference"},
    ),
    Case(
        "a reference to a resource of another server",
        bundle("collection", entry(observation("Patient/p"), "http://elsewhere.example.org/Observation/o"), PATIENT),
    ),
    Case(
        "a server resolves it in a transaction",
        bundle(
            "transaction",
            entry(observation("Patient/p"), f"{UUID}1", request=request("POST", "Observation")),
            bare(patient(), request=request("PUT", "Patient/p")),
        ),
    ),
    # fullUrl.
    Case("no fullUrl", bundle("collection", bare(patient())), {"bundle-full-url": "Bundle.entry[0]"}, (R4, R4B)),
    Case("no fullUrl in a batch", bundle("batch", bare(patient(), request=request("PUT", "Patient/p")))),
    Case("no fullUrl in an answer to a batch", bundle("batch-response", bare(patient(), response={"status": "200"}))),
    Case(
        "no fullUrl of what a create made, in a history",
        bundle("history", bare(patient(), request=request("POST", "Patient"), response={"status": "201"})),
    ),
    Case(
        "no fullUrl of what has no identity",
        bundle("collection", bare({"resourceType": "Patient"})),
        releases=(R4, R4B),
    ),
    # Once only.
    Case(
        "a version twice in a history",
        bundle(
            "history",
            *[entry(version(patient(), "1"), request=request("PUT", "Patient/p"), response={"status": "200"})] * 2,
        ),
        {"bundle-duplicate": "Bundle.entry[1]"},
    ),
    Case(
        "two versions in a history",
        bundle(
            "history",
            entry(version(patient(), "2"), request=request("PUT", "Patient/p"), response={"status": "200"}),
            entry(version(patient(), "1"), request=request("PUT", "Patient/p"), response={"status": "200"}),
        ),
    ),
    Case(
        "one id twice behind urn:uuid",
        bundle("collection", entry(patient(), f"{UUID}1"), entry(patient(), f"{UUID}2")),
        {"bundle-same-id": "Bundle.entry[1]"},
    ),
    Case(
        "one id on two servers",
        bundle("collection", PATIENT, entry(patient(), "http://elsewhere.example.org/Patient/p")),
    ),
    Case(
        "two new resources with one id, which a create passes over",
        bundle(
            "transaction",
            *[entry(patient(), f"{UUID}{number}", request=request("POST", "Patient")) for number in range(2)],
        ),
    ),
    # Requests and outcomes.
    Case(
        "a PUT of nothing",
        bundle("transaction", {"request": request("PUT", "Patient/p")}),
        {"bundle-request": "Bundle.entry[0]"},
        (R4, R4B),
    ),
    Case(
        "a POST of nothing",
        bundle("batch", {"request": request("POST", "Patient")}),
        {"bundle-request": "Bundle.entry[0]"},
        (R4, R4B),
    ),
    Case(
        "an operation without parameters",
        bundle("batch", {"request": request("POST", "Patient/p/$everything")}),
        releases=(R4, R4B),
    ),
    Case(
        "a notification that leaves out what was written",
        bundle(
            "history",
            {"fullUrl": f"{BASE}Patient/p", "request": request("PUT", "Patient/p"), "response": {"status": "200"}},
        ),
        releases=(R4, R4B),
    ),
    Case("a DELETE", bundle("transaction", {"request": request("DELETE", "Patient/p")})),
    Case("a status", bundle("transaction-response", {"response": {"status": "412 Precondition Failed"}})),
    Case(
        "a status without its number",
        bundle("transaction-response", {"response": {"status": "Created"}}),
        {"bundle-outcome": "Bundle.entry[0].response.status"},
    ),
    Case(
        "an outcome has no address",
        bundle(
            "searchset",
            bare({"resourceType": "OperationOutcome", "id": "w"}, search={"mode": "outcome"}),
            link=[{"relation": "self", "url": BASE}],
        ),
    ),
    Case(
        "a resource that is called an outcome",
        bundle("searchset", entry(patient(), search={"mode": "outcome"}), link=[{"relation": "self", "url": BASE}]),
        {"bundle-outcome": "Bundle.entry[0].search.mode"},
    ),
]


@pytest.mark.parametrize(
    ("case", "release"),
    [pytest.param(case, release, id=f"{case.what}-{release}") for case in CASES for release in case.releases],
)
def test_the_rules_of_bundles_are_kept_to_in_each_release(case: Case, release: FhirVersion) -> None:
    found: dict[str | None, str] = {}
    for issue in validate(case.bundle, release):
        if str(issue.rule).startswith("bundle-"):
            found.setdefault(issue.rule, "".join(issue.expression))
    assert found == case.broken


def test_no_bundle_of_any_form_ends_the_check() -> None:
    odd: list[Any] = [None, 1, "x", [], {}, [None], [[]], {"a": []}, True]
    for kind in ("document", "message", "history", "transaction", "searchset"):
        for value in odd:
            for shape in (
                {"entry": value},
                {"entry": [value]},
                {
                    "entry": [
                        {"fullUrl": value, "resource": value, "request": value, "response": value, "search": value}
                    ]
                },
                {"entry": [entry(composition()), {"resource": {"resourceType": value, "id": value, "url": value}}]},
                {"entry": [bare({**composition(), "author": value, "section": value, "meta": value})], "link": value},
                {"entry": [entry(header()), bare(patient(link=value))], "link": [value]},
            ):
                for release in (R4, R5):
                    validate({"resourceType": "Bundle", "type": kind, **shape}, release)
