"""History in pages: every version once, newest first. https://hl7.org/fhir/R5/http.html#history"""

from __future__ import annotations

from pathlib import Path

import pytest

from apothecary.content.sync import sync
from apothecary.fhir.releases import FhirVersion
from apothecary.store.open import open_store
from tests.conformance.harness import BASE, InProcess, settings_for, write_content
from tests.conformance.walk import forwards
from tests.versions.corpus import broken_rules, refused_by_models


def test_a_history_in_pages_shows_each_version_once(database_url: str, tmp_path: Path) -> None:
    settings = settings_for(database_url, tmp_path)
    store = open_store(settings)
    for number in range(5):
        write_content(tmp_path, [{"resourceType": "Organization", "id": "o", "name": f"Name {number}"}])
        sync(settings, store)
    live = InProcess(settings, store)
    pages = forwards(live, f"{BASE}/Organization/o/_history?_count=2")
    assert [page.json["total"] for page in pages] == [5, 5, 5]
    versions = [one["resource"]["meta"]["versionId"] for page in pages for one in page.json["entry"]]
    assert versions == ["5", "4", "3", "2", "1"]
    middle = pages[0].json["entry"][1]["resource"]["meta"]["lastUpdated"]
    later = live.ask("GET", f"{BASE}/Organization/o/_history?_since={middle}")
    assert later.json["total"] >= 2
    store.close()


@pytest.mark.parametrize("path", ["Medication/m-none/_history", "Medication/_history", "_history"])
def test_a_history_that_names_ignored_parameters_is_a_valid_bundle(server: InProcess, path: str) -> None:
    bundle = server.ask("GET", f"{BASE}/{path}?colour=red&_sort=_id").json
    assert bundle["issues"]["issue"][0]["expression"] == ["colour", "_sort"]
    assert broken_rules(bundle, FhirVersion.R5) == set()
    assert refused_by_models(bundle, FhirVersion.R5) is None
    # The validator would notice the warning in the place that it has in a searchset.
    bundle["entry"].append({"resource": bundle.pop("issues"), "search": {"mode": "outcome"}})
    assert broken_rules(bundle, FhirVersion.R5) >= {"bdl-2", "bdl-3b"}
