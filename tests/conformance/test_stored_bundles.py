"""A stored Bundle is a record: what its entries point to is theirs, not this server's
(https://hl7.org/fhir/R5/bundle.html#references).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from apothecary.content.sync import sync
from apothecary.settings import Settings
from apothecary.store.open import open_store
from tests.conformance.harness import InProcess

JSON = {"Content-Type": "application/fhir+json"}


def document() -> dict[str, Any]:
    """Of another server: its entries point to each other by addresses relative to its base, and elsewhere."""
    there = "http://elsewhere.example/fhir"
    composition = {
        "resourceType": "Composition", "id": "c", "status": "final", "type": {"text": "leaflet"}, "title": "Leaflet",
        "date": "2026-11-27", "author": [{"reference": "Organization/o"}], "section": [{
            "title": "Uses", "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">x</div>'},
        }],
    }  # fmt: skip
    organization = {
        "resourceType": "Organization",
        "id": "o",
        "name": "Maker",
        "partOf": {"reference": "Organization/parent"},
    }
    return {
        "resourceType": "Bundle", "id": "leaflet", "type": "document", "timestamp": "2026-11-27T00:00:00Z",
        "identifier": {"system": "urn:ietf:rfc:3986", "value": "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"},
        "entry": [
            {"fullUrl": f"{there}/Composition/c", "resource": composition},
            {"fullUrl": f"{there}/Organization/o", "resource": organization},
        ],
    }  # fmt: skip


@pytest.mark.parametrize("release", ["r4", "r4b", "r5"])
def test_a_document_is_kept_whatever_its_entries_point_to(database_url: str, tmp_path: Path, release: str) -> None:
    (tmp_path / "Bundle-leaflet.json").write_text(json.dumps({**document(), "id": "given"}))
    settings = Settings(database=database_url, content=str(tmp_path))
    store = open_store(settings)
    report = sync(settings, store)
    assert (report.created, report.dangling) == (1, ())
    server = InProcess(settings, store)
    put = server.ask("PUT", f"/fhir/{release}/Bundle/leaflet", JSON, json.dumps(document()))
    assert put.status == 201, put.body
    kept = server.ask("GET", f"/fhir/{release}/Bundle/leaflet").json
    assert kept["entry"] == document()["entry"]
    found = server.ask(
        "GET", f"/fhir/{release}/Bundle?type=document&identifier=urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"
    )
    assert sorted(found.ids) == ["given", "leaflet"]
    # A reference of the Bundle itself is one of this server's.
    signed = {**document(), "signature": {"who": {"reference": "Organization/none"}}}
    signed["signature"] |= {"type": [{"code": "x"}], "when": "2026-11-27T00:00:00Z"}
    refused = server.ask("PUT", f"/fhir/{release}/Bundle/leaflet", JSON, json.dumps(signed))
    assert (refused.status, b"Organization/none does not exist" in refused.body) == (422, True), refused.body
    store.close()
