"""Findings as cards: what an EHR shows, and that nothing but text gets there."""

from __future__ import annotations

import re
import uuid
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from apothecary.safety.asked import Remark
from apothecary.safety.cards import MOST, REMARKS, cards, escaped, plain, statement_mark
from apothecary.safety.found import Finding, Found, Implicated, Source

BASE = "https://drugs.example/fhir"
FINDING = Finding(
    "drug-drug",
    "alphamab and betatin: more bleeding",
    (Implicated(0, "alphamab"), Implicated(1, "betatin")),
    ("alphamab 5 mg contains alphamab", "betatin is below betatins"),
    "DRG",
    severity="high",
    severity_text="contraindicated",
    statement="ClinicalUseDefinition/s1",
    management=("do not combine",),
    source=Source("A list, 2026", "https://list.example/7"),
)
GFM = MarkdownIt("gfm-like").disable("linkify")


def test_a_card_says_what_is_stated_how_severe_it_is_called_by_whom_and_why_it_concerns_the_list() -> None:
    card, silence = cards(Found([FINDING], release="42 versions"), {0}, BASE)
    assert card["summary"] == "Interaction between drugs: alphamab + betatin"
    assert (card["indicator"], card["source"]) == (
        "critical",
        {"label": "A list, 2026", "url": "https://list.example/7"},
    )
    assert card["links"] == [{"label": "The statement", "url": f"{BASE}/ClinicalUseDefinition/s1", "type": "absolute"}]
    for part in ("more bleeding", "contraindicated", "- do not combine", "1. alphamab 5 mg contains", "2. betatin"):
        assert part in card["detail"]
    assert "suggestions" not in card
    assert all(one["display"] for one in card["overrideReasons"])
    assert silence["indicator"] == "info"
    assert "42 versions" in silence["detail"]


@pytest.mark.parametrize(
    ("kind", "severity", "shown"),
    [
        ("drug-drug", "high", "critical"),
        ("drug-drug", "moderate", "warning"),
        ("allergy", "low", "info"),
        ("drug-condition", None, "warning"),
        ("combination", None, "info"),
    ],
)
def test_a_card_is_as_urgent_as_the_source_calls_it(kind: str, severity: str | None, shown: str) -> None:
    card = cards(Found([replace(FINDING, kind=kind, severity=severity)]), {0}, BASE)[0]  # type: ignore[arg-type] # one of the kinds and severities
    assert card["indicator"] == shown


def test_cards_are_about_the_orders_that_are_asked_about_and_the_rest_is_counted() -> None:
    taken = replace(FINDING, statement="ClinicalUseDefinition/s2", drugs=(Implicated(1, "b"), Implicated(2, "c")))
    found = Found([taken, FINDING], [Remark("x is not understood")], [Remark("y has no statements")])
    card, silence = cards(found, {0}, BASE)
    assert "alphamab" in card["summary"]
    assert silence["summary"] == "What was not checked: 1 not understood, 1 not looked at"
    for part in ("1 findings are only about what is taken", "- x is not understood", "- y has no statements"):
        assert part in silence["detail"]


def test_that_nothing_is_stated_is_never_shown_as_nothing_to_fear() -> None:
    (silence,) = cards(Found(), {0}, BASE)
    assert silence["summary"].startswith("Nothing stated here, which proves nothing.")
    assert "no evidence" in silence["detail"]


def test_the_gravest_come_first_and_an_answer_has_only_so_many_cards() -> None:
    mild = [replace(FINDING, severity="low", statement=f"ClinicalUseDefinition/{n}") for n in range(MOST + 5)]
    remarks = [Remark(f"remark {n}") for n in range(REMARKS + 7)]
    made = cards(Found([*mild, FINDING], remarks), {0}, BASE)
    assert len(made) == MOST + 1
    assert made[0]["indicator"] == "critical"
    assert "6 more findings are not shown" in made[-1]["detail"]
    assert "- and 7 more" in made[-1]["detail"]


def test_cards_of_one_statement_have_uuids_of_their_own_that_begin_alike() -> None:
    first, second = (cards(Found([FINDING]), {0}, BASE)[0]["uuid"] for _ in range(2))
    assert first != second
    assert {one.replace("-", "")[:12] for one in (first, second)} == {statement_mark("ClinicalUseDefinition/s1")}
    parsed = uuid.UUID(first)
    assert (parsed.variant, first[14]) == (uuid.RFC_4122, "8")


@pytest.mark.parametrize(
    "url",
    ["javascript:alert(1)", "data:text/html,x", "//evil.example", "https://", "http://a b", "file:///etc/passwd", ""],
)
def test_an_address_that_no_browser_should_open_is_not_given(url: str) -> None:
    card = cards(Found([replace(FINDING, source=Source("x", url), statement="")]), {0}, url)[0]
    assert "url" not in card["source"]
    assert "links" not in card


HOSTILE = [
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "[click](javascript:alert(1))", "![x](https://e.example)",
    "https://evil.example/x", "WWW.evil.example", "a@evil.example", "# heading", "- item", "1. item", "+ item", "> q",
    "```\ncode", "a | b\n- | -", "line\n\n# next", "*bold* _it_ ~~no~~", "&lt;b&gt; &amp;", "[a]: https://e.example",
    "\u202egnihton", "<https://evil.example>", "12) item", "---", "====", "\\<b>", "a\x00b",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_what_content_says_is_shown_as_text_and_as_nothing_else(text: str) -> None:
    hostile = replace(FINDING, text=text, chain=(text,), management=(text,), severity_text=text, source=Source(text))
    made = cards(Found([hostile], [Remark(text)], [Remark(text)], text), {0}, BASE)
    for card in made:
        html = GFM.render(card["detail"])
        assert set(re.findall(r"<(\w+)", html)) <= {"p", "ul", "ol", "li", "strong", "code"}
        assert not re.search(r"<code>(?!MedicationKnowledge)", html)
        assert not re.search(r"(?<!\\)(?:https?://|www\.)\S", card["detail"], re.IGNORECASE)
        assert len(card["summary"]) < 140


@given(st.text(max_size=80))
def test_any_text_comes_out_of_markdown_as_it_went_in(text: str) -> None:
    html = GFM.render(f"- {escaped(text)}")
    shown = re.sub(r"</?(?:ul|li|p)>", "", html)
    for entity, mark in (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&amp;", "&")):
        shown = shown.replace(entity, mark)
    assert " ".join(shown.split()) == " ".join(plain(text, 2000).split())


@given(st.text(max_size=400), st.integers(1, 200))
def test_a_plain_text_is_one_line_that_is_not_too_long(text: str, longest: int) -> None:
    found = plain(text, longest)
    assert len(found) <= longest
    assert not re.search(r"[\n\r\t\x00\u202e]", found)
