"""Pages: https://hl7.org/fhir/R5/http.html#paging. Forwards and backwards, every match once, while others write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from apothecary.fhir.json import dumps
from apothecary.fhir.meta import stamp
from apothecary.fhir.temporal import now
from apothecary.settings import Settings
from apothecary.store.contract import Stored
from apothecary.store.open import open_store
from tests.conformance.harness import BASE, Answer, InProcess, problems, serving, settings_for, write_content
from tests.conformance.walk import backwards, forwards

SEARCHES = (
    "/Medication",
    "/Medication?status=active,inactive",
    "/Medication?status:not=active",
    "/Medication?code=308191,723",
    "/Medication?expiration-date=ge2026&_sort=expiration-date",
    "/Medication?_sort=status",
    "/Medication?_sort=-status,expiration-date",
    "/Medication?_sort=-expiration-date,-_id",
    "/Medication?_sort=_lastUpdated",
    "/Medication?_sort=-_lastUpdated",
    "/Organization?_sort=name",
    "/Substance?_sort=-quantity",
    "?_type=Medication,MedicationKnowledge,Organization",
    "?_type=Medication,Organization&_sort=-_lastUpdated",
    "?_type=Organization,Substance&_sort=-_id",
)


@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize("count", [1, 2, 3, 50])
def test_pages_visit_each_match_once_and_back_again(server: InProcess, search: str, count: int) -> None:
    whole = server.ask("GET", BASE + search).ids
    address = f"{BASE}{search}{'&' if '?' in search else '?'}_count={count}"
    pages = forwards(server, address)
    assert [one for page in pages for one in page.ids] == whole
    assert all(len(page.ids) == count for page in pages[:-1])
    assert "next" not in pages[-1].links
    assert "previous" not in pages[0].links
    returned = backwards(server, pages[-1])
    assert [page.ids for page in returned] == [page.ids for page in reversed(pages)]


def test_every_page_tells_the_same_total_when_it_is_asked_for(server: InProcess) -> None:
    pages = forwards(server, f"{BASE}/Medication?_count=2&_total=accurate")
    assert [page.json["total"] for page in pages] == [5, 5, 5]


def test_a_page_brings_what_its_own_matches_include(server: InProcess) -> None:
    address = f"{BASE}/Medication?status=active&_count=1&_include=Medication:marketingauthorizationholder"
    held = [
        {one["resource"]["id"]: one["search"]["mode"] for one in page.json["entry"]}
        for page in forwards(server, address)
    ]
    assert held == [{"m-amox": "match", "acme": "include"}, {"m-combi": "match"}]


@pytest.mark.parametrize("change", ["&status=inactive", "&_sort=status", "&_count=2"])
def test_a_link_that_was_edited_is_refused(server: InProcess, change: str) -> None:
    first = server.ask("GET", f"{BASE}/Medication?status=active,inactive{'' if '_count' in change else '&_count=1'}")
    link = first.links.get("next") or server.ask("GET", f"{BASE}/Medication?_count=1").links["next"]
    answer = server.ask("GET", link + change)
    assert answer.status == 400
    assert problems(answer)[0]["expression"] in (["_page"], ["_count"])


def test_a_page_of_another_type_is_refused(server: InProcess) -> None:
    link = server.ask("GET", f"{BASE}/Medication?_count=1").links["next"]
    assert server.ask("GET", link.replace("/Medication?", "/Organization?")).status == 400


@pytest.mark.parametrize("order", ["", "&_sort=status", "&_sort=-_id"])
def test_resources_written_between_pages_disturb_no_other(emptied_url: str, tmp_path: Path, order: str) -> None:
    """What was there from the beginning comes exactly once, whatever is added before and behind the page in hand."""
    content = tmp_path / "content"
    write_content(content, [])
    content.mkdir(exist_ok=True)
    settings = settings_for(emptied_url, content)
    store = open_store(settings)
    live = InProcess(settings, store)
    registry = live.service.registry(settings.fhir_version)

    def write(identity: str, status: str) -> None:
        resource = {"resourceType": "Medication", "id": identity, "status": status}
        moment = now()
        with store.transaction() as transaction:
            body = stamp(resource, identity, 1, moment)
            stored = Stored("Medication", identity, 1, moment, "R5", body)
            transaction.write(stored, "PUT", registry.rows(resource))

    wanted = [f"m{number:02}" for number in range(9)]
    for identity in wanted:
        write(identity, "active")
    seen: list[str] = []
    link: str | None = f"{BASE}/Medication?_count=2{order}"
    step = 0
    while link is not None:
        page = live.ask("GET", link)
        seen += page.ids
        write(f"a{step}", "active")
        write(f"z{step}", "inactive" if step % 2 else "active")
        step += 1
        link = page.links.get("next") if step < 30 else None
    store.close()
    assert sorted(one for one in seen if one in wanted) == wanted
    assert len(seen) == len(set(seen))


@pytest.mark.parametrize(
    "asked",
    ["code=urn:s|a", "code=a", "code=urn:s|", "code=urn:s|a&status=active", "status=active&code=urn:s|a&code=urn:s|b"],
)
def test_what_has_a_value_several_times_is_on_one_page_once(emptied_url: str, tmp_path: Path, asked: str) -> None:
    codes = [{"system": "urn:s", "code": code} for code in "abaab"]
    medication = {"resourceType": "Medication", "status": "active", "code": {"coding": codes}}
    wanted = [f"m{number}" for number in range(5)]
    write_content(tmp_path, [medication | {"id": one} for one in wanted])
    with serving(settings_for(emptied_url, tmp_path)) as server:
        for count in (1, 2, 4, 5, 6):
            pages = forwards(server, f"{BASE}/Medication?{asked}&_count={count}&_total=accurate")
            assert [one for page in pages for one in page.ids] == wanted
            assert all(len(page.ids) == count for page in pages[:-1])
            assert {page.json["total"] for page in pages} == {len(wanted)}
            assert [page.ids for page in backwards(server, pages[-1])] == [page.ids for page in reversed(pages)]


@pytest.mark.parametrize("base", ["/fhir/r4", "/fhir/r4b", "/fhir/r5"])
@pytest.mark.parametrize("order", ["_lastUpdated", "-_lastUpdated", "-_lastUpdated,-_id"])
@pytest.mark.parametrize("scope", ["/Organization?", "?_type=Organization,Substance&"])
def test_pages_in_the_order_of_change_lose_nothing_in_silence_while_others_write(
    emptied_url: str, base: str, order: str, scope: str
) -> None:
    """While the pages are read somebody changes what was seen and what was not."""
    settings = Settings(database=emptied_url, content="")
    live = InProcess(settings, open_store(settings))
    clock = [now()]
    live.store.clock = lambda: clock[0]

    def put(identity: str) -> None:
        clock[0] += 1000
        resource = {"resourceType": "Organization", "id": identity, "name": f"at {clock[0]}", "active": True}
        body = dumps(resource).decode()
        answer = live.ask("PUT", f"{base}/Organization/{identity}", {"Content-Type": "application/fhir+json"}, body)
        assert answer.status in (200, 201)

    wanted = [f"o{number}" for number in range(9)]
    for identity in wanted:
        put(identity)
    quiet = forwards(live, f"{base}{scope}_count=2&_sort={order}")
    assert [one["search"]["mode"] for page in quiet for one in page.json["entry"]] == ["match"] * 9

    changes = iter(["o0", "o7", "o4", "o8"])
    seen: list[tuple[str, str]] = []
    told_of: set[str] = set()
    link: str | None = f"{base}{scope}_count=2&_sort={order}"
    while link is not None:
        page = live.ask("GET", link)
        seen += [(one["resource"]["id"], one["resource"]["meta"]["versionId"]) for one in matches(page)]
        for issue in (one for entry in page.json["entry"][len(page.ids) :] for one in entry["resource"]["issue"]):
            assert issue["code"] == "incomplete"
            remedy = issue["details"]["text"].rpartition(" ")[2]
            told_of = set(live.ask("GET", f"{base}/Organization?{remedy}").ids)
        if (changed := next(changes, None)) is not None:
            put(changed)
        link = page.links.get("next")
    live.store.close()
    assert len(seen) == len(set(seen))  # what comes again is another version
    found = {identity for identity, _ in seen}
    if order == "_lastUpdated":
        assert found == set(wanted)
        assert not told_of
    else:
        assert len(found) == len(seen)
        assert found | told_of == set(wanted)
        assert found != set(wanted)
        assert told_of


def matches(page: Answer) -> list[dict[str, Any]]:
    return [one for one in page.json["entry"] if one["search"]["mode"] == "match"]
