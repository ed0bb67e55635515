"""The page on which a person checks a list of drugs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from apothecary.app import create_app
from apothecary.content.sync import sync
from apothecary.settings import Settings
from apothecary.store.open import open_store
from tests.conformance.harness import ROOT
from tests.pages.test_pages import Page

TABLET = "http://www.nlm.nih.gov/research/umls/rxnorm|206157"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    settings = Settings(
        database=f"sqlite:///{tmp_path_factory.mktemp('check') / 'a.db'}", content=str(ROOT / "resources")
    )
    store = open_store(settings)
    sync(settings, store)
    yield create_app(settings, store).test_client()
    store.close()


def checked(client: FlaskClient, **given: str) -> Page:
    answer = client.post("/check", data=given)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    page = Page(answer.text)
    assert not page.torn
    assert len(page.ids) == len(set(page.ids))
    return page


def test_the_first_page_leads_to_an_empty_form(client: FlaskClient) -> None:
    assert "/check" in Page(client.get("/", headers={"Accept": "text/html"}).text).links
    page = Page(client.get("/check").text)
    assert not page.torn
    assert "What is stated" not in page.words
    labelled = {given.get("for") for tag, given in page.tags if tag == "label"}
    fields = {given["id"] for tag, given in page.tags if tag in ("textarea", "select") or given.get("id") == "age"}
    assert fields <= labelled


def test_names_and_codes_are_understood_and_the_same_drug_twice_is_told_with_the_steps(client: FlaskClient) -> None:
    page = checked(client, drugs=f"{TABLET}\nKlonopin (clonazepam) 1 mg tablet\n206157")
    assert "The same active ingredient twice" in page.words
    assert "contains clonazepam" in page.words
    assert "no interaction is stated here of it" in page.words


@pytest.mark.parametrize("name", ["clonazepam", "Clonazepam", "CLONAZEPAM"])
def test_the_whole_name_of_a_drug_is_enough_though_others_have_it_among_theirs(client: FlaskClient, name: str) -> None:
    assert f"{name}: no interaction is stated here of it" in checked(client, drugs=name).words


@pytest.mark.parametrize(
    ("drugs", "said"),
    [
        ("nothingol", "nothingol: no drug here has this name or code"),
        ("klonopin", "klonopin: several drugs are called so ("),
        ("x" * 301, "is too long for a name or a code"),
        ("\n".join(["206157"] * 101), "drugs: only the first 100 lines were looked at"),
        ("<script>alert(1)</script>, a\\$", "no drug here has this name or code"),
    ],
)
def test_what_is_not_understood_is_said_and_nothing_is_guessed(client: FlaskClient, drugs: str, said: str) -> None:
    page = checked(client, drugs=drugs)
    assert said in page.words
    assert "alert" not in str([one for one in page.tags if one[0] == "script"])


def test_nothing_stated_is_shown_as_no_evidence_and_what_was_typed_stays(client: FlaskClient) -> None:
    page = checked(client, drugs="206157", age="ten", sex="female", conditions="migraine")
    for part in ("That is no evidence that there is nothing", "the age 'ten' is no number", "206157", "migraine"):
        assert part in page.words
    selected = [given.get("value") for tag, given in page.tags if tag == "option" and "selected" in given]
    assert selected == ["female", "", ""]


def test_a_limitation_that_the_source_states_is_shown_with_its_statement(client: FlaskClient) -> None:
    page = checked(client, drugs=TABLET, conditions="http://hl7.org/fhir/sid/icd-10-cm|G40.822")
    assert "Limitation of use" in page.words
    assert any("/ClinicalUseDefinition/" in one for one in page.links)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"data": "{}", "content_type": "application/json"}, 415),
        ({"data": b"drugs=%ff", "content_type": "application/x-www-form-urlencoded"}, 400),
        ({"data": b"drugs=" + b"x" * 1_100_000, "content_type": "application/x-www-form-urlencoded"}, 413),
    ],
)
def test_what_is_no_form_is_refused(client: FlaskClient, sent: dict[str, str], status: int) -> None:
    assert client.post("/check", **sent).status_code == status
