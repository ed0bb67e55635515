"""Numbers that no arithmetic can hold are refused by every way that a body may come: https://hl7.org/fhir/R5/json.html"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from apothecary.app import create_app
from apothecary.settings import Settings
from apothecary.store.open import open_store
from tests.conformance.harness import told

BEYOND = ("1e9999999999999999999", "-1E+9999999992147483648", "0e9999999999999999999")
PATCH = "application/json-patch+json"
BODIES = {
    "a creation": ("POST", "/fhir/Organization", "", '{"resourceType": "Organization", "name": %s}'),
    "an update in R4": ("PUT", "/fhir/r4/Organization/o", "", '{"resourceType": "Organization", "id": "o", "x": [%s]}'),
    "a FHIRPath Patch": ("PATCH", "/fhir/Organization/o", "", '{"resourceType": "Parameters", "parameter": %s}'),
    "a JSON Patch": ("PATCH", "/fhir/Organization/o", PATCH, '[{"op": "add", "path": "/name", "value": %s}]'),
    "a batch": ("POST", "/fhir", "", '{"resourceType": "Bundle", "type": "batch", "entry": [{"resource": %s}]}'),
    "an operation": ("POST", "/fhir/ValueSet/$expand", "", '{"resourceType": "Parameters", "parameter": [%s]}'),
    "no resource": ("POST", "/fhir/Organization/$validate", "", "%s"),
}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    settings = Settings(database=f"sqlite:///{tmp_path_factory.mktemp('numbers') / 'x.db'}", content="")
    store = open_store(settings)
    yield create_app(settings, store).test_client()
    store.close()


@pytest.mark.parametrize("literal", BEYOND)
@pytest.mark.parametrize("name", BODIES)
def test_a_number_beyond_all_arithmetic_is_refused(client: FlaskClient, name: str, literal: str) -> None:
    method, path, kind, body = BODIES[name]
    answer = client.open(path, method=method, data=body % literal, content_type=kind or "application/fhir+json")
    assert answer.status_code == 400, answer.data
    assert "has an exponent that cannot be read" in told(answer.json["issue"][0])
