"""A server checks the features of profiles as the validator does: in what it is asked to validate, and at a write."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient

from apothecary.app import create_app
from apothecary.fhir.releases import FhirVersion
from apothecary.settings import Settings
from apothecary.store.open import open_store
from tests.validation.profiles import features_combined
from tests.validation.profiles.features import Resource, definition

FEATURES = [*features_combined.everything()]


@pytest.fixture
def client(database_url: str) -> Iterator[FlaskClient]:
    settings = Settings(database=database_url, content="", resource_types="*", references="allowed")
    store = open_store(settings)
    yield create_app(settings, store).test_client()
    store.close()


def apart(value: Resource, number: int) -> Resource:
    """The same with canonical urls of its own, so that all features stand side by side."""
    text = json.dumps(value)
    for kind in ("StructureDefinition", "ValueSet", "CodeSystem"):
        text = text.replace(f"http://example.org/fhir/{kind}/", f"http://example.org/fhir/{number}/{kind}/")
    found: Resource = json.loads(text)
    return found


def issues(answer: Any) -> list[str]:
    """The rules that an OperationOutcome names, but for advice on narratives."""
    listed = [code["code"] for one in answer["issue"] for code in one.get("details", {}).get("coding", [])]
    return [rule for rule in listed if rule not in ("dom-6", "ident-1")]


@pytest.mark.slow
def test_a_feature_is_checked_when_asked_for_and_at_a_write(client: FlaskClient) -> None:
    release = FhirVersion.R5
    base = f"/fhir/{release.segment}"
    mine = [(number, one) for number, one in enumerate(FEATURES) if release in one.releases]
    entries = []
    for number, feature in mine:
        held = [definition("profile", feature.type, feature.elements, **feature.more), *feature.others]
        for place, one in enumerate(held):
            kind, identity = one["resourceType"], f"f{number}-{place}"
            content = {} if kind != "StructureDefinition" else {"fhirVersion": release.number}
            resource = {**apart(one, number), **content, "id": identity}
            entries.append({"resource": resource, "request": {"method": "PUT", "url": f"{kind}/{identity}"}})
    stored = client.post(base, json={"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert stored.status_code == 200, stored.text
    for number, feature in mine:
        url = f"http://example.org/fhir/{number}/StructureDefinition/profile"
        for resource, expected in ((feature.good, []), (feature.bad, [feature.found[0]])):
            body = apart(resource, number)
            address = f"{base}/{feature.type}/$validate?profile={url}"
            answer = client.post(address, json=body)
            assert issues(answer.json)[:1] == expected, (feature.name, answer.text)
            claiming = {**body, "id": f"w{number}", "meta": {"profile": [url]}}
            written = client.put(f"{base}/{feature.type}/w{number}", json=claiming)
            assert (written.status_code >= 400) is bool(expected), (feature.name, written.text)
            if expected:
                assert issues(written.json)[:1] == expected, (feature.name, written.text)
