"""Pages say what the JSON says, lead to each other, and let nothing of a resource act."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape as html_unescape
from html.parser import HTMLParser
from random import Random
from typing import Any
from urllib.parse import parse_qsl, urljoin, urlsplit

import pytest
from flask.testing import FlaskClient

from apothecary.app import create_app
from apothecary.content.sync import sync
from apothecary.settings import Settings
from apothecary.store.open import open_store
from tests.conformance.harness import ROOT
from tests.mass import much
from tests.rest.test_limits import serving
from tests.store.test_spelling import put

HTML = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
XHTML = 'xmlns="http://www.w3.org/1999/xhtml"'


class Page(HTMLParser):
    """The links, words and ids of a page; whether its tags are closed as they were opened."""

    VOID = frozenset({"meta", "link", "br", "hr", "img", "input", "col"})
    LOOSE = frozenset({"li", "p", "option", "tr", "td", "th", "thead", "tbody", "dd", "dt"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.text: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.ids: list[str] = []
        self._open: list[str] = []
        self.torn = False
        self.feed(text)
        self.close()
        self.torn = self.torn or bool(self._open)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append((tag, given))
        self.links += [value for name, value in attrs if name in ("href", "src") and value]
        self.ids += [value for name, value in attrs if name == "id" and value]
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.torn = True

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    @property
    def words(self) -> str:
        return " ".join("".join(self.text).split())


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    folder = tmp_path_factory.mktemp("pages")
    settings = Settings(database=f"sqlite:///{folder / 'a.db'}", content=str(ROOT / "resources"))
    store = open_store(settings)
    sync(settings, store)
    yield create_app(settings, store).test_client()
    store.close()


@pytest.fixture
def client(emptied_url: str) -> Iterator[FlaskClient]:
    with serving(emptied_url) as made:
        yield made


def page(client: FlaskClient, address: str, status: int = 200) -> Page:
    answer = client.get(address, headers=HTML)
    assert answer.status_code == status, (address, answer.data[:500])
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    found = Page(answer.text)
    assert not found.torn, address
    assert len(found.ids) == len(set(found.ids)), address
    return found


def is_walked(address: str) -> bool:
    """Whether a link is followed: one release is walked, and not each order of each table, nor each choice of several
    values.
    """
    chosen = [name for name, _ in parse_qsl(urlsplit(address).query) if not name.startswith("_")]
    return len(chosen) < 2 and not any(one in address for one in ("/r4", "/r5", "_sort", "_explain"))


@pytest.mark.mass
@pytest.mark.slow
def test_every_page_of_the_content_is_there_and_every_link_leads_somewhere(content: FlaskClient) -> None:
    waiting, seen = ["/"], {"/"}
    chance = Random(7)
    largest = looked = 0
    while waiting and looked < much(60, 10**9):
        address = waiting.pop(chance.randrange(len(waiting)))
        looked += 1
        answer = content.get(address, headers=HTML)
        assert answer.status_code < 400, address
        if not answer.headers["Content-Type"].startswith("text/html"):
            continue
        largest = max(largest, len(answer.data))
        for link in page(content, address).links:
            target = urljoin(f"http://localhost{address}", link)
            parts = urlsplit(target)
            if parts.netloc != "localhost" or parts.scheme != "http":
                assert parts.scheme in ("http", "https", "mailto") or link == "data:,", (address, link)
                continue
            path = parts.path + (f"?{parts.query}" if parts.query else "")
            if path in seen:
                continue
            seen.add(path)
            if is_walked(path):
                waiting.append(path)
            else:
                assert content.head(path, headers=HTML).status_code < 400, (address, path)
    assert len(seen) > 300
    assert largest < 100_000


@pytest.mark.parametrize("release", ["r4", "r4b", "r5"])
def test_a_page_says_what_the_json_says(content: FlaskClient, release: str) -> None:
    found = page(content, f"/fhir/{release}/Medication/clonazepam")
    json = content.get(f"/fhir/{release}/Medication/clonazepam").json
    assert isinstance(json, dict)
    for said in (
        "Medication/clonazepam",
        json["meta"]["lastUpdated"],
        "5PE9FDE8GB",
        json["code"]["coding"][0]["system"],
    ):
        assert said in found.words
    assert f"/fhir/{release}/Medication/clonazepam/_history" in found.links


def test_a_search_has_a_form_of_what_can_be_asked_and_a_table_of_what_was_found(content: FlaskClient) -> None:
    found = page(content, "/fhir/MedicationKnowledge?drug-name=klonopin&_count=2&nonesuch=1")
    named = {given["name"] for tag, given in found.tags if tag in ("input", "select") and "name" in given}
    assert {"drug-name", "code", "status", "ingredient", "_id", "indication"} <= named
    assert "4 found" in found.words
    assert "nonesuch" in found.words
    assert "curl 'http://localhost/fhir/MedicationKnowledge?drug-name=klonopin&_count=2&nonesuch=1'" in found.words
    onwards = [link for link in found.links if "_page=" in link and "_page=" in link]
    assert page(content, onwards[0]).words.count("Klonopin") > 0
    value = next(given["value"] for tag, given in found.tags if given.get("name") == "drug-name")
    assert value == "klonopin"
    assert "Explain this search" in found.words
    plan = page(content, "/fhir/MedicationKnowledge?drug-name=klonopin&_explain=true")
    assert "How the database went about it" in plan.words
    assert page(content, "/fhir/Medication?_id=nobody").words.count("0 found") == 1
    assert "ClinicalUseDefinition" in page(content, "/fhir?_id=panic-disorder").words


@pytest.mark.parametrize(
    ("asked", "address"),
    [
        ("klonopin", "/fhir/MedicationKnowledge?drug-name=klonopin"),
        ("Acetylsalicylic acid", "/fhir/MedicationKnowledge?drug-name=Acetylsalicylic+acid"),
        ("206159", "/fhir/MedicationKnowledge?code=206159"),
        ("0004-0058-01", "/fhir/MedicationKnowledge?code=0004-0058-01"),
        ("00004005801", "/fhir/MedicationKnowledge?code=00004005801"),
        ("http://www.nlm.nih.gov/research/umls/rxnorm|206159",
         "/fhir/MedicationKnowledge?code=http%3A%2F%2Fwww.nlm.nih.gov%2Fresearch%2Fumls%2Frxnorm%7C206159"),
        ("Medication?status=active", "/fhir/Medication?status=active"),
        ("/fhir/r5/Medication?status=active&_count=2", "/fhir/Medication?status=active&_count=2"),
        ("drug-name=klo", "/fhir/MedicationKnowledge?drug-name=klo"),
        ("Medication/clonazepam", "/fhir/Medication/clonazepam"),
        ("Organization", "/fhir/Organization"),
        ("", "/"),
        ("   ", "/"),
        ("a&b=<script>", "/fhir/MedicationKnowledge?a&b=%3Cscript%3E"),
        ("//evil.example/x", "/fhir/MedicationKnowledge?drug-name=%2F%2Fevil.example%2Fx"),
        ("\r\nX: y", "/fhir/MedicationKnowledge?drug-name=X%3A+y"),
    ],
)  # fmt: skip
def test_the_box_takes_a_name_a_code_and_a_query(content: FlaskClient, asked: str, address: str) -> None:
    answer = content.get("/", query_string={"q": asked}, headers=HTML)
    assert (answer.status_code, answer.headers["Location"]) == (303, address)


def test_a_history_shows_what_changed(client: FlaskClient) -> None:
    for name in ("First <one>", "Second & one"):
        client.put("/fhir/Organization/a", json={"resourceType": "Organization", "id": "a", "name": name})
    client.delete("/fhir/Organization/a")
    found = page(client, "/fhir/Organization/a/_history")
    assert '- "name": "First <one>"' in re.sub(r"-\s+", "- ", found.words)
    assert '+ "name": "Second & one"' in re.sub(r"\+\s+", "+ ", found.words)
    assert "deleted" in found.words


def test_any_two_versions_are_compared(client: FlaskClient) -> None:
    base: dict[str, Any] = {"resourceType": "Organization", "id": "a"}
    for name in ("One", "Two <b>", "Three", "Four"):
        client.put("/fhir/r4/Organization/a", json=base | {"name": name})
    client.delete("/fhir/Organization/a")
    history = page(client, "/fhir/Organization/a/_history")
    offered = [(given["name"], given["value"]) for tag, given in history.tags if tag == "input" and "value" in given]
    assert offered == [("_compare", "1"), ("_compare", "4")]
    for release in ("", "/r4", "/r5"):
        found = page(client, f"/fhir{release}/Organization/a/_history?_compare=1&_compare=3")
        assert '- "name": "One"' in re.sub(r"-\s+", "- ", found.words)
        assert '+ "name": "Three"' in re.sub(r"\+\s+", "+ ", found.words)
        assert "Two" not in found.words
        assert f"/fhir{release}/Organization/a/_history/3" in found.links
    backwards = page(client, "/fhir/Organization/a/_history?_compare=3&_compare=2").words
    assert '+ "name": "Two <b>"' in re.sub(r"\+\s+", "+ ", backwards)
    assert "Version 5: deleted" in page(client, "/fhir/Organization/a/_history?_compare=1&_compare=5").words
    for wrong, status in (("_compare=1&_compare=9", 404), ("_compare=x&_compare=1", 404), ("_compare=1", 400)):
        page(client, f"/fhir/Organization/a/_history?{wrong}", status)
    page(client, "/fhir/Organization/_history?_compare=1&_compare=2", 400)
    # Programs have no such thing.
    assert (
        client.get("/fhir/Organization/a/_history?_compare=1", headers={"Prefer": "handling=strict"}).status_code == 400
    )


@pytest.mark.parametrize(
    ("address", "status", "said"),
    [
        ("/fhir/Organization/never", 404, "does not exist"),
        ("/fhir/Nonesuch", 404, "not a resource type"),
        ("/nothing", 404, "there is nothing at /nothing"),
        ("/fhir/Organization?_count=x", 400, "_count"),
        ("/fhir/r4/Organization?_id=a&_lastUpdated=x", 400, "_lastUpdated"),
        ("/fhir/Organization/%ff", 400, ""),
    ],
)
def test_an_error_is_a_page_with_the_words_of_its_outcome(
    client: FlaskClient, address: str, status: int, said: str
) -> None:
    outcome: Any = client.get(address).json
    words = page(client, address, status).words
    assert said in words
    for issue in outcome["issue"]:
        text = (issue.get("details") or {}).get("text") or issue.get("diagnostics", "")
        assert " ".join(text.split()) in words


def test_who_does_not_ask_for_pages_gets_what_he_got_before(content: FlaskClient) -> None:
    for accept in ("*/*", "application/json", "application/fhir+json, text/html;q=0.9", ""):
        answer = content.get("/fhir/Medication/clonazepam", headers={"Accept": accept})
        assert answer.headers["Content-Type"].startswith("application/fhir+json")
        assert content.get("/", headers={"Accept": accept}).headers["Content-Type"] == "application/json"
    assert content.get("/fhir/Medication/clonazepam?_format=html").text.startswith("<!doctype html>")


def test_a_page_is_kept_like_any_other_answer(content: FlaskClient) -> None:
    first = content.get("/fhir/Medication/clonazepam", headers=HTML)
    again = content.get("/fhir/Medication/clonazepam", headers={**HTML, "If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    assert "Accept" in first.headers["Vary"]
    style = next(link for link in Page(first.text).links if link.endswith(".css"))
    answer = content.get(style)
    assert "immutable" in answer.headers["Cache-Control"]
    assert content.get("/pages/x/nothing.css").status_code == 404


ACTING = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)>",
    "<a href='javascript:alert(1)'>x</a>",
    "<a href='data:text/html,<script>alert(1)</script>'>x</a>",
    "<iframe src='https://evil.example'></iframe>",
    "<form action='https://evil.example'><input name=a></form>",
    "<style>body{display:none}</style>",
    "<img src='https://evil.example/x.png'>",
    "<link rel=stylesheet href='https://evil.example/x.css'>",
    "<base href='https://evil.example/'>",
    "<meta http-equiv=refresh content='0;url=https://evil.example'>",
    '" onmouseover="alert(1)',
    "'><script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    "{{ 7 * 7 }}",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
]


@pytest.mark.parametrize("vector", ACTING)
def test_nothing_of_a_resource_acts_in_a_page(client: FlaskClient, vector: str) -> None:
    resource = {
        "resourceType": "Organization",
        "id": "a",
        "name": vector,
        "alias": [vector],
        "extension": [{"url": "javascript:alert(1)", "valueString": vector}],
        "partOf": {"reference": "javascript:alert(1)", "display": vector},
    }
    div = f"<div {XHTML}>{vector}</div>"
    # What validation would refuse may have been loaded without it.
    put(client.application.service.store, resource | {"text": {"status": "generated", "div": div}})  # type: ignore[attr-defined] # an Apothecary
    for address in ("/fhir/Organization/a", "/fhir/Organization", "/fhir/Organization/a/_history",
                    "/fhir/Organization?name=" + "%3Cscript%3E", "/"):  # fmt: skip
        answer = client.get(address, headers=HTML)
        found = Page(answer.text)
        for tag, given in found.tags:
            assert tag not in ("iframe", "svg", "style", "base", "math", "object", "embed")
            assert not [name for name in given if name.startswith("on") or name == "style"], (tag, given)
            assert (tag != "script") or (given.get("src") or "").startswith("/pages/")
            assert tag != "meta" or "http-equiv" not in given
        assert not [link for link in found.links if link.startswith(("javascript:", "data:text"))]
        assert not [
            given for tag, given in found.tags if tag in ("img", "form", "link", "script") and "evil" in str(given)
        ]


def test_a_monograph_groups_its_uses_and_keeps_what_is_denied_apart(content: FlaskClient) -> None:
    answer = content.get("/fhir/MedicationKnowledge/clonazepam", headers=HTML)
    uses, denied = (answer.text.index(f'<h2 id="{name}">') for name in ("uses", "denied"))
    end = answer.text.index("</section>", denied)
    seen = 0
    for entry in content.get("/fhir/ClinicalUseDefinition?_count=100").json["entry"]:  # type: ignore[index]  # an object
        resource = entry["resource"]
        place = answer.text.index(f'<a href="/fhir/ClinicalUseDefinition/{resource["id"]}">')
        is_use = resource["type"] == "indication"
        assert (uses < place < denied) if is_use else (denied < place < end), resource["id"]
        seen += 1
    assert seen == 35
    words = Page(answer.text).words
    for said in (
        "Regulatory status not stated by the source",
        "In approval, per the source",
        "Not for: limits and negative statements",
        "Klonopin (clonazepam) 0.5 mg tablet",
        "0.5 mg per 1 tablet",
        "D18: three strengths of statement about mania",
        "Nothing is recorded here about contraindications, interactions, undesirable effects",
        "Content not supplied",
    ):
        assert said in words
    claims = re.findall(r'<abbr tabindex="0" title="(line \d+: [^"]+)">(S\d+)</abbr>', answer.text)
    assert len({short for _, short in claims}) > 40
    ledger = page(content, "/claims")
    assert all(html_unescape(says).partition(": ")[2] in ledger.words for says, _ in claims)


def test_a_drug_without_statements_says_that_silence_is_no_evidence(client: FlaskClient) -> None:
    made = {"resourceType": "MedicationKnowledge", "id": "a", "code": {"text": "Some drug"}, "status": "active"}
    assert client.put("/fhir/MedicationKnowledge/a", json=made).status_code == 201
    words = page(client, "/fhir/MedicationKnowledge/a").words
    assert "That none is recorded is no evidence that there is none." in words
    assert "Some drug" in words


def test_codes_are_shown_as_a_table_with_what_stands_below(client: FlaskClient) -> None:
    concepts = [{"code": "a", "display": "Upper", "concept": [{"code": "b", "display": "Lower <i>"}]}]
    system = {
        **{"resourceType": "CodeSystem", "id": "c", "url": "http://ex.org/c", "status": "active", "name": "C"},
        **{"content": "complete", "concept": concepts},
    }
    assert client.put("/fhir/CodeSystem/c", json=system).status_code == 201
    found = page(client, "/fhir/CodeSystem/c")
    assert ("th", {"scope": "row", "class": "d1"}) in found.tags
    assert "Lower <i>" in found.words
    made = {"resourceType": "ValueSet", "id": "v", "url": "http://ex.org/v", "status": "active", "name": "V",
            "compose": {"include": [{"system": "http://ex.org/c"}]}}  # fmt: skip
    assert client.put("/fhir/ValueSet/v", json=made).status_code == 201
    leads = [one for one in page(client, "/fhir/ValueSet/v").links if "$expand" in one]
    assert "Upper" in page(client, leads[0]).words


def test_operations_have_forms_that_work(content: FlaskClient) -> None:
    found = page(content, "/fhir/metadata")
    forms = [given["action"] for tag, given in found.tags if tag == "form"]
    assert "/fhir/ValueSet/$expand" in forms
    assert "/fhir/CodeSystem/$lookup" in forms
    # As a browser sends it without the script: with what was left empty.
    asked = "url=http%3A%2F%2Fhl7.org%2Ffhir%2FValueSet%2Fpublication-status&filter=&count="
    assert "retired" in page(content, f"/fhir/ValueSet/$expand?{asked}").words.lower()


FACET = re.compile(r'<a rel="nofollow" href="([^"]+)">[^<]*</a> (\d+|many)')


def test_matches_are_counted_by_codes_and_each_number_is_what_its_link_finds(content: FlaskClient) -> None:
    assert "type: indication 32, warning 3" in page(content, "/fhir/ClinicalUseDefinition").words
    # Those of the whole search, where the page has a part of it.
    assert "type: indication 32, warning 3" in page(content, "/fhir/ClinicalUseDefinition?_count=4").words
    assert "route: 26643006 3, C38288 3" in page(content, "/fhir/MedicationKnowledge").words
    checked = 0
    for release in ("r4", "r4b", "r5"):
        for kind in ("ClinicalUseDefinition", "MedicationKnowledge", "Medication", "SearchParameter", "Organization"):
            for query in ("", "?_count=3", "?_lastUpdated=gt2020&_sort=_id"):
                answer = content.get(f"/fhir/{release}/{kind}{query}", headers=HTML)
                if answer.status_code == 404:
                    continue
                for part in re.findall(r'<p class="facet">(.*?)</p>', answer.text):
                    for link, number in FACET.findall(part):
                        found: Any = content.get(html_unescape(link) + "&_total=accurate").json
                        assert found["total"] == int(number), (release, kind, query, link)
                        checked += 1
    assert checked > 100


def test_what_cannot_be_counted_cheaply_is_not_counted(client: FlaskClient) -> None:
    entries = [
        {"resource": {"resourceType": "Organization", "active": number % 3 == 0, "name": f"N{number}"},
         "request": {"method": "POST", "url": "Organization"}}
        for number in range(60)
    ]  # fmt: skip
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    assert client.post("/fhir", json=bundle).status_code == 200
    # What is more frequent on this page comes first, and which resources are on it hangs on their ids.
    assert re.search("active: (false 40, true 20|true 20, false 40)", page(client, "/fhir/Organization").words)
    assert "active: false 8, true 3" in page(client, "/fhir/Organization?name=N1&_count=100").words
    # Each has its own.
    assert "_id:" not in page(client, "/fhir/Organization").words


def test_the_page_of_the_interface_names_each_release_and_type(content: FlaskClient) -> None:
    found = page(content, "/openapi?release=r4&type=Medication")
    assert "/fhir/r4/openapi.json?type=Medication" in found.links
    assert content.get("/fhir/r4/openapi.json?type=Medication").status_code == 200
    assert content.get("/openapi?release=r9").status_code == 404
    assert content.get("/openapi?type=Nonesuch").status_code == 404
    scripts = [one for one in found.links if one.endswith(".js")]
    assert len(scripts) == 3
    assert all(content.get(one).headers["Content-Type"].startswith("text/javascript") for one in scripts)


def test_what_a_narrative_strikes_out_stays_struck_out(client: FlaskClient) -> None:
    div = f"<div {XHTML}>Take <del>two</del><ins>one</ins>, <s>daily</s> <u>weekly</u>.</div>"
    made = {"resourceType": "Organization", "id": "a", "name": "A", "text": {"status": "generated", "div": div}}
    assert client.put("/fhir/Organization/a", json=made).status_code == 201
    text = client.get("/fhir/Organization/a", headers=HTML).text
    assert "Take <del>two</del><ins>one</ins>, <s>daily</s> <u>weekly</u>." in text


def test_each_element_says_what_it_means_to_a_pointer_a_finger_and_the_keyboard(client: FlaskClient) -> None:
    made = {
        "resourceType": "Medication",
        "id": "a",
        "code": {"text": "A"},
        "ingredient": [{"item": {"concept": {"text": "x"}}}],
    }
    assert client.put("/fhir/Medication/a", json=made).status_code == 201
    item = {"r4": "item[x]The actual", "r4b": "item[x]The actual", "r5": "itemThe ingredient (substance or medication)"}
    for release, said_of_item in item.items():
        found = page(client, f"/fhir/{release}/Medication/a")
        shown = [given for tag, given in found.tags if tag == "b" and "title" in given]
        said = [given["title"] or "" for given in shown]
        assert any(one.startswith("Codes that identify this medication. Medication.code 0..1") for one in said)
        assert any(one.startswith("Logical id of this artifact. Medication.id 0..1: id") for one in said)
        # A finger may set the focus on it, and the keyboard does not stop at each.
        assert {given["tabindex"] for given in shown} == {"-1"}
        assert f"Medication.ingredient.{said_of_item}" in found.words
        assert ("summary", {}) in found.tags
