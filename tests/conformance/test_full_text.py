"""Full text over HTTP on both databases: what is found, how it is ranked, and that the index keeps step with writes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from apothecary.content.sync import sync
from apothecary.settings import Settings
from apothecary.store.open import open_store
from tests.conformance.harness import BASE, ROOT, Answer, InProcess, problems, table, told, write_content
from tests.databases import session_database

SEARCHES = [(query, found) for section in table("full_text.yaml").values() for query, found in section.items()]

RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
XHTML = 'xmlns="http://www.w3.org/1999/xhtml"'
RESOURCES: list[dict[str, Any]] = yaml.safe_load(f"""
- resourceType: MedicationKnowledge
  id: klonopin
  status: active
  text:
    status: generated
    div: |
      <div {XHTML} title="attribute"><p><b>Klo</b>nopin is <em>strong</em>: for seizures<br/>and panic disorder.</p>
      <table><tr><td>0.5 mg</td><td>tablets</td></tr></table><!-- comment --></div>
  code:
    coding: [{{system: "{RXNORM}", code: "2598", display: clonazepam}}]
    text: Klonopin 0.5 MG Oral Tablet
  name: [Klonopin]
  author: {{reference: Organization/roche, display: Roche}}
  associatedMedication: [{{reference: Medication/m-roche}}]
  regulatory: [{{regulatoryAuthority: {{reference: Organization/roche}}, schedule: [{{text: secret}}]}}]
- resourceType: MedicationKnowledge
  id: amoxicilina
  status: active
  text:
    status: generated
    div: <div {XHTML}>Infection in ni&#241;os</div>
  name: [Amoxicilina 250 mg/5 ml suspensión]
- resourceType: MedicationKnowledge
  id: clonidine
  status: active
  name: [Clonidine]
- resourceType: MedicationKnowledge
  id: silent
  status: inactive
- resourceType: Medication
  id: m-roche
  code: {{text: The one that Roche makes}}
  marketingAuthorizationHolder: {{reference: Organization/roche, display: F. Hoffmann-La Roche AG of Basel}}
- resourceType: Organization
  id: roche
  name: Roche of Switzerland
""")
KINDS = "Medication,MedicationKnowledge,Organization,SearchParameter"


def serve(url: str, folder: Path) -> InProcess:
    write_content(folder, RESOURCES)
    for path in (ROOT / "resources/SearchParameter").glob("MedicationKnowledge-*.json"):
        (folder / "SearchParameter").mkdir(exist_ok=True)
        (folder / "SearchParameter" / path.name).write_bytes(path.read_bytes())
    settings = Settings(database=url, content=str(folder), resource_types=KINDS)
    store = open_store(settings)
    sync(settings, store)
    return InProcess(settings, store)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    with session_database(request, tmp_path_factory) as url:
        made = serve(url, tmp_path_factory.mktemp("content"))
        yield made
        made.store.close()


@pytest.fixture
def own_server(emptied_url: str, tmp_path: Path) -> Iterator[InProcess]:
    """A server of this test's own, to write to."""
    made = serve(emptied_url, tmp_path / "content")
    yield made
    made.store.close()


def find(server: InProcess, query: str) -> Answer:
    answer = server.ask("GET", f"{BASE}{'' if query.startswith('?') else '/'}{query}")
    assert answer.status == 200, answer.body
    return answer


def scores(answer: Answer) -> dict[str, float | None]:
    """The score of each match, in the order of the bundle."""
    entries = [one for one in answer.json.get("entry", ()) if one["search"]["mode"] == "match"]
    return {one["resource"]["id"]: one["search"].get("score") for one in entries}


def outcome(answer: Answer) -> list[dict[str, Any]]:
    """The issues of the bundle's outcome entry."""
    found = [one["resource"]["issue"] for one in answer.json.get("entry", ()) if one["search"]["mode"] == "outcome"]
    return list(found[0]) if found else []


@pytest.mark.parametrize(("query", "expected"), SEARCHES, ids=lambda value: value if isinstance(value, str) else "")
def test_a_full_text_search_finds_exactly_what_the_table_says(server: InProcess, query: str, expected: Any) -> None:
    answer = server.ask("GET", f"{BASE}{'' if query.startswith('?') else '/'}{query}")
    if isinstance(expected, list):
        assert answer.status == 200, answer.body
        assert sorted(answer.ids) == sorted(expected)
        counted = server.ask("GET", f"{BASE}{'' if query.startswith('?') else '/'}{query}&_summary=count")
        assert counted.json["total"] == len(expected)
    else:
        assert answer.status == 400, answer.body
        assert problems(answer)[0]["expression"] == [expected["refused"]]


# Searches of one type for words, that do not name a resource or a page themselves.
LOOKED_UP = [
    (q, e) for q, e in SEARCHES if isinstance(e, list) and q[0] != "?" and "_id=" not in q and "_sort" not in q
]


@pytest.mark.parametrize(("query", "expected"), LOOKED_UP)
def test_a_look_at_each_resource_finds_what_looking_the_words_up_finds(
    server: InProcess, query: str, expected: list[str]
) -> None:
    every = [one["id"] for one in RESOURCES if one["resourceType"] == query.partition("?")[0]]
    assert len(LOOKED_UP) > 40
    found = [one for one in every if server.ask("GET", f"{BASE}/{query}&_id={one}").ids == [one]]
    assert sorted(found) == sorted(expected)


# -- scores


def test_a_match_scores_more_the_more_of_its_text_was_asked_for(server: InProcess) -> None:
    found = scores(find(server, "MedicationKnowledge?drug-name:text=clonidine OR klonopin".replace(" ", "%20")))
    # Clonidine: the one word of the text. Klonopin: one of seven words in all names.
    assert found == {"clonidine": 1, "klonopin": pytest.approx((8 + 1) / 16, abs=1e-5)}


@pytest.mark.parametrize(
    ("sort", "order"), [("-_score", ["clonidine", "klonopin"]), ("_score", ["klonopin", "clonidine"])]
)
def test_matches_can_be_sorted_by_score(server: InProcess, sort: str, order: list[str]) -> None:
    query = f"MedicationKnowledge?drug-name:text=clonidine%20OR%20klonopin&_sort={sort}"
    answer = find(server, query)
    assert answer.ids == order
    assert f"_sort={sort}" in answer.links["self"]
    first = find(server, f"{query}&_count=1")
    second = server.ask("GET", first.links["next"])
    assert [*first.ids, *second.ids] == order
    back = server.ask("GET", second.links["previous"])
    assert back.ids == first.ids


def test_scores_can_be_left_out(server: InProcess) -> None:
    assert scores(find(server, "MedicationKnowledge?_text=panic&_score=false")) == {"klonopin": None}
    assert scores(find(server, "MedicationKnowledge?_text=panic&_score=true"))["klonopin"]


@pytest.mark.parametrize("asked", ["_score=true", "_sort=_score", "_sort=-_score,status"])
def test_what_is_asked_of_scores_that_are_none_is_told(server: InProcess, asked: str) -> None:
    answer = find(server, f"MedicationKnowledge?status=active&{asked}")
    assert "score" not in answer.links["self"]
    (issue,) = outcome(answer)
    assert issue["code"] == "not-supported"
    assert set(scores(answer).values()) == {None}
    strict = server.ask("GET", f"{BASE}/MedicationKnowledge?status=active&{asked}", {"Prefer": "handling=strict"})
    assert strict.status == 400


def test_a_word_inside_a_negation_or_a_chain_ranks_nothing(server: InProcess) -> None:
    for query in ("_text=NOT%20panic", "associated-medication.code:text-advanced=roche"):
        assert set(scores(find(server, f"MedicationKnowledge?{query}")).values()) == {None}


# -- inexact names


def test_an_inexact_match_says_so_and_scores_less_than_an_exact_one(server: InProcess) -> None:
    answer = find(server, "MedicationKnowledge?drug-name:text=klonipin~")
    (issue,) = outcome(answer)
    assert issue["severity"] == "warning"
    assert "inexact" in told(issue)
    assert "klonopin (0.50)" in told(issue)
    (score,) = scores(answer).values()
    assert score is not None
    assert 0 < score < 0.5
    exact = find(server, "MedicationKnowledge?drug-name:text=klonopin")
    assert outcome(exact) == []
    assert next(iter(scores(exact).values())) > score


def test_inexact_matches_come_best_first(server: InProcess) -> None:
    answer = find(server, "MedicationKnowledge?drug-name:text=clonidin~")
    found = scores(answer)
    assert next(iter(found)) == "clonidine"
    assert list(found.values()) == sorted(found.values(), reverse=True)


def test_that_no_word_resembles_is_told_too(server: InProcess) -> None:
    (issue,) = outcome(find(server, "MedicationKnowledge?drug-name:text=xylophone~"))
    assert "no word resembles it" in told(issue)


def test_a_write_never_goes_by_an_inexact_match(own_server: InProcess) -> None:
    body = json.dumps({"resourceType": "MedicationKnowledge", "status": "active"})
    answer = own_server.ask(
        "PUT",
        f"{BASE}/MedicationKnowledge?drug-name:text=klonipin~",
        {"Content-Type": "application/fhir+json"},
        body,
    )
    assert answer.status == 400, answer.body


# -- the index keeps step


def put(server: InProcess, resource: dict[str, Any]) -> None:
    answer = server.ask(
        "PUT",
        f"{BASE}/{resource['resourceType']}/{resource['id']}",
        {"Content-Type": "application/fhir+json"},
        json.dumps(resource),
    )
    assert answer.status in (200, 201), answer.body


def test_the_index_follows_every_write(own_server: InProcess) -> None:
    drug = {"resourceType": "MedicationKnowledge", "id": "new", "status": "active", "name": ["Zolpidem"]}
    asked = {
        word: f"MedicationKnowledge?drug-name:text={word}"
        for word in ("zolpidem", "zopiclone", "zolpidam~", "zopiklone~")
    }

    def found() -> list[str]:
        return [word for word, query in asked.items() if find(own_server, query).ids == ["new"]]

    assert found() == []
    put(own_server, drug)
    assert found() == ["zolpidem", "zolpidam~"]
    put(own_server, {**drug, "name": ["Zopiclone"]})
    assert found() == ["zopiclone", "zopiklone~"]
    assert "zolpidem" not in json.dumps(outcome(find(own_server, asked["zolpidam~"])))
    assert own_server.ask("DELETE", f"{BASE}/MedicationKnowledge/new").status in (200, 204)
    assert found() == []
    assert find(own_server, "MedicationKnowledge?_content=zopiclone").ids == []


def test_the_index_is_made_anew_when_the_parameters_change(emptied_url: str, tmp_path: Path) -> None:
    content = tmp_path / "content"
    made = serve(emptied_url, content)
    (content / "SearchParameter/MedicationKnowledge-drug-name.json").unlink()
    sync(made.settings, made.store)
    again = InProcess(made.settings, made.store)
    assert find(again, "MedicationKnowledge?_text=panic").ids == ["klonopin"]
    unknown = find(again, "MedicationKnowledge?drug-name=tab")
    assert "drug-name" in json.dumps(outcome(unknown))
    made.store.close()


def test_a_text_longer_than_any_passage_is_found_in_every_part(own_server: InProcess) -> None:
    middle = " ".join(f"word{number}" for number in range(30_000))
    text = f"alpha {middle} omega of the end"
    put(own_server, {"resourceType": "Organization", "id": "long", "name": "Long", "description": text})
    for query in ("alpha%20omega", '"omega%20of%20the%20end"', '"word14999%20word15000"', "word29999", "word29*"):
        assert find(own_server, f"Organization?_content={query}").ids == ["long"], query
    assert find(own_server, "Organization?_content=%22alpha%20omega%22").ids == []


def test_a_phrase_after_many_repeats_of_its_words_is_found(own_server: InProcess) -> None:
    text = "of the " * 2_000 + "of pain"
    put(own_server, {"resourceType": "Organization", "id": "often", "name": "Often", "description": text})
    assert find(own_server, 'Organization?_content="of%20pain"').ids == ["often"]
    assert find(own_server, 'Organization?_content="pain%20of"').ids == []
