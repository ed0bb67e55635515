"""A page and the count that it hangs on by one statement, as PostgreSQL is asked, against the two by themselves, as
SQLite is.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask.testing import FlaskClient

from apothecary.app import create_app
from apothecary.settings import Settings
from apothecary.store import plan

COUNT = 60
SYSTEM = "http://ex.org/drugs"

SEARCHES = [
    "Medication?code=c3&status=active",
    f"Medication?code={SYSTEM}|c3&status=active,inactive&form=none",
    "Medication?status=active&form=tablet",
    "Medication?status=active&form=tablet&_sort=-_lastUpdated",
    "Medication?code=c1,c2,c3&status:not=inactive",
    "Medication?code=c1,c2,c3&_sort=lot-number",
    "Medication?code=c1,c2,c3&_sort=-lot-number,status",
    "Medication?code=nothing&_sort=_lastUpdated",
    "Medication?marketingauthorizationholder.name=maker",
    "Medication?marketingauthorizationholder.name=maker%202&status=active",
    "Medication?marketingauthorizationholder.name=maker&_total=accurate",
    "Medication?marketingauthorizationholder.name=maker&_total=none",
    "Organization?_has:Medication:marketingauthorizationholder:code=c3",
    "Organization?_has:Medication:marketingauthorizationholder:status=active&name=maker%202,maker%203",
    "Organization?name=maker&_total=accurate",
    "Organization?name=maker%203",
    "?_type=Medication,Organization&_id=m3,m4,o1&_sort=_lastUpdated",
]


def resources() -> Iterator[dict[str, Any]]:
    for number in range(5):
        # What is gone is found by no reverse chain: the last one is only pointed to.
        if number < 4:
            yield {
                "resourceType": "Organization",
                "id": f"o{number}",
                "name": f"maker {number}",
                "alias": [f"maker {number} limited"],
            }
    for number in range(COUNT):
        yield {
            "resourceType": "Medication",
            "id": f"m{number}",
            "status": "active" if number % 3 else "inactive",
            "code": {"coding": [{"system": SYSTEM, "code": f"c{number % 7}"}]},
            "doseForm": {"coding": [{"code": "tablet" if number % 2 else "syrup"}]},
            "marketingAuthorizationHolder": {"reference": f"Organization/o{number % 5}"},
            # Some lots are of several, and some have none.
            **({"batch": {"lotNumber": f"lot {number // 2 % 9}"}} if number % 5 else {}),
        }


def _key(resource: dict[str, Any]) -> str:
    return f"{resource['resourceType']}/{resource['id']}"


@pytest.fixture
def both(sqlite_database_url: str, postgresql_database_url: str) -> Iterator[list[FlaskClient]]:
    apps = [
        create_app(Settings(database=url, content="", cache_bytes=0, references="allowed"))
        for url in (sqlite_database_url, postgresql_database_url)
    ]
    clients = [one.test_client() for one in apps]
    every = [{"resource": one, "request": {"method": "PUT", "url": _key(one)}} for one in resources()]
    for app, client in zip(apps, clients, strict=True):
        for moment in range(4):
            # Both at the same times, each of which several share.
            app.service.store.clock = partial(int, (2_000_000 + moment) * 10**9)
            bundle = {"resourceType": "Bundle", "type": "transaction", "entry": every[moment::4]}
            answer = client.post("/fhir", json=bundle)
            assert answer.status_code == 200, answer.text
    yield clients
    for one in apps:
        one.service.store.close()


def pages(client: FlaskClient, search: str, count: int) -> list[tuple[list[str], int | None]]:
    """The matches of each page forwards, and then backwards, with the total that it tells."""
    found = []
    url = f"/fhir/{search}{'&' if '?' in search else '?'}_count={count}"
    for relation in ("next", "previous"):
        for _ in range(2 * COUNT):
            answer = client.get(url)
            assert answer.status_code == 200, answer.text
            bundle = answer.json
            matches = [one for one in bundle.get("entry", ()) if one["search"]["mode"] == "match"]
            found.append(([one["resource"]["id"] for one in matches], bundle.get("total")))
            links = {one["relation"]: urlsplit(one["url"]) for one in bundle["link"]}
            if relation not in links:
                break
            url = f"{links[relation].path}?{links[relation].query}"
    return found


def test_pages_and_totals_are_those_of_a_count_and_a_page(
    both: list[FlaskClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    sqlite, postgresql = both
    for few, linked, very_few in [(2000, 500, 50), (10, 10, 4), (1, 1, 0)]:
        for name, value in (("FEW", few), ("FEW_LINKED", linked), ("VERY_FEW", very_few)):
            monkeypatch.setattr(plan, name, value)
        for search in SEARCHES:
            for count in (8, 100) if few == 2000 else (8,):
                assert pages(postgresql, search, count) == pages(sqlite, search, count), (search, count, few)
