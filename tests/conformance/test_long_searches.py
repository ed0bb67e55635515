"""Pages of a search that is longer than an address may be: https://hl7.org/fhir/R5/http.html#paging"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from apothecary.content.sync import sync
from apothecary.fhir import temporal
from apothecary.fhir.json import dumps
from apothecary.interactions import kept
from apothecary.settings import Settings
from apothecary.store.open import open_store
from tests.conformance.harness import Answer, InProcess, problems, told, write_content

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
LIMIT = 2000
BASES = ["/fhir/r4", "/fhir/r4b", "/fhir/r5"]
IDS = [f"o{number}" for number in range(7)]
# Ten values of 300 characters, besides one that all names begin with.
LONG = ",".join(["Name", *(f"{number}" * 300 for number in range(10))])


def started(url: str, content: Path) -> InProcess:
    settings = Settings(database=url, content=str(content), url_limit=LIMIT)
    store = open_store(settings)
    sync(settings, store)
    return InProcess(settings, store)


@pytest.fixture
def servers(emptied_url: str, tmp_path: Path) -> Iterator[tuple[InProcess, InProcess]]:
    """Two servers on one database."""
    names = [{"resourceType": "Organization", "id": one, "name": f"Name {one}", "active": True} for one in IDS]
    write_content(tmp_path, names)
    both = started(emptied_url, tmp_path), started(emptied_url, tmp_path)
    yield both
    for one in both:
        one.store.close()


def post(server: InProcess, base: str, path: str = "/Organization", **parameters: str) -> Answer:
    asked = {"name": LONG, "_count": "2", **parameters}
    answer = server.ask("POST", f"{base}{path}/_search", FORM, urlencode(asked))
    assert answer.status == 200, answer.body
    return answer


def followed(server: InProcess, page: Answer, relation: str) -> list[Answer]:
    pages = [page]
    while relation in pages[-1].links:
        url = pages[-1].links[relation]
        assert len(url) <= LIMIT
        pages.append(server.ask("GET", url))
        assert pages[-1].status == 200, pages[-1].body
    return pages


@pytest.mark.parametrize("base", BASES)
def test_every_page_is_read_by_its_link_on_any_server(servers: tuple[InProcess, InProcess], base: str) -> None:
    one, other = servers
    first = post(one, base, _sort="-_id", unknown="x")
    pages = followed(other, first, "next")
    assert [found for page in pages for found in page.ids] == IDS[::-1]
    # What is left out of the search is told where it was sent; the pages are those of what ran.
    assert any("unknown" in told(issue) for issue in first.json["entry"][-1]["resource"]["issue"])
    back = followed(one, pages[-1], "previous")
    assert [page.ids for page in back] == [page.ids for page in reversed(pages)]
    assert one.ask("GET", pages[-1].links["first"]).ids == first.ids
    assert one.ask("GET", first.links["last"]).ids == IDS[:2][::-1]
    assert all(len(page.links["self"]) <= LIMIT for page in pages[1:])
    assert other.ask("GET", pages[1].links["self"]).ids == pages[1].ids


def test_a_search_of_the_whole_system_has_its_pages_too(servers: tuple[InProcess, InProcess]) -> None:
    one, other = servers
    pages = followed(other, post(one, "/fhir", "", _type="Organization"), "next")
    assert [found for page in pages for found in page.ids] == IDS


def test_a_search_inside_a_transaction_has_its_pages_too(servers: tuple[InProcess, InProcess]) -> None:
    one, other = servers
    # An entry's address may be as long as that of a request; its link, which has the base before it, is then longer.
    address = f"Organization?{urlencode({'_count': '2', 'name': 'Name,'})}"
    entry = {"request": {"method": "GET", "url": address.ljust(LIMIT, "1")}}
    for kind in ("transaction", "batch"):
        bundle = {"resourceType": "Bundle", "type": kind, "entry": [entry]}
        answer = one.ask("POST", "/fhir", {"Content-Type": "application/fhir+json"}, dumps(bundle).decode())
        links = {link["relation"]: link["url"] for link in answer.json["entry"][0]["resource"]["link"]}
        assert len(links["next"]) < LIMIT
        assert other.ask("GET", links["next"]).ids == IDS[2:4]


def test_short_searches_keep_nothing(servers: tuple[InProcess, InProcess]) -> None:
    one, _ = servers
    pages = followed(one, post(one, "/fhir", name="Name"), "next")
    assert len(pages) == 4
    assert all("name=Name" in page.links["self"] for page in pages)
    assert one.store.state("kept searches") is None


def test_a_link_of_another_search_or_with_more_parameters_is_refused(servers: tuple[InProcess, InProcess]) -> None:
    one, _ = servers
    link = post(one, "/fhir").links["next"]
    for wrong in (f"{link}&name=x", link.replace("/Organization", "/Substance"), f"{link}x", link.replace(".", ".x")):
        answer = one.ask("GET", wrong)
        assert answer.status == 400
        assert problems(answer)[0]["expression"] == ["_page"]


def test_a_search_is_kept_for_a_day_from_the_last_page(
    servers: tuple[InProcess, InProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = servers
    time = [kept.now()]
    for module in (kept, temporal):
        monkeypatch.setattr(module, "now", lambda: time[0])
    link = post(one, "/fhir").links["next"]
    time[0] += kept.LASTING - 1
    assert other.ask("GET", link).status == 200
    time[0] += kept.LASTING - 1
    assert other.ask("GET", link).status == 200
    time[0] += kept.LASTING
    answer = other.ask("GET", link)
    assert answer.status == 410
    assert "Send the search again" in told(problems(answer)[0])
    # What is kept next takes its place.
    fresh = post(one, "/fhir", _sort="-_id").links["next"]
    assert other.ask("GET", fresh).status == 200
    assert other.store.state(f"kept search {link.partition('~')[2].partition('.')[0]}") is None


def test_no_more_searches_are_kept_than_there_is_room_for(
    servers: tuple[InProcess, InProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = servers
    monkeypatch.setattr(kept, "MOST", 10_000)
    links = [post(one, "/fhir", _sort=sort).links["next"] for sort in ("_id", "-_id", "name", "-name")]
    assert [other.ask("GET", link).status for link in links] == [410, 200, 200, 200]
    monkeypatch.setattr(kept, "LONGEST", 3000)
    answer = one.ask("POST", "/fhir/Organization/_search", FORM, urlencode({"name": LONG, "_count": "3"}))
    assert answer.status == 400
    assert "too long" in told(problems(answer)[0])
    assert len(post(one, "/fhir", _count="50").ids) == len(IDS)
