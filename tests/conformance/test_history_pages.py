"""History in pages: every version once, newest first. https://hl7.org/fhir/R5/http.html#history"""

from __future__ import annotations

from pathlib import Path

from server.content.sync import sync
from server.store.open import open_store
from tests.conformance.harness import BASE, InProcess, settings_for, write_content
from tests.conformance.walk import forwards


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
