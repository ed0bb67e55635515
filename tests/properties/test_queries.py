"""No query string makes the server fail, or answer without saying what it left out."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apothecary.search.filter import OPERATORS
from tests.conformance.harness import BASE, InProcess, problems
from tests.mass import much

pytestmark = [pytest.mark.slow, pytest.mark.mass]

# fmt: off
CODES = (
    "_id", "_lastUpdated", "_tag", "_profile", "_security", "_source", "_count", "_sort", "_total", "_summary",
    "_elements", "_score", "_include", "_revinclude", "_page", "_type", "_has", "_maxresults", "_explain",
    "_contained", "_list", "_filter", "_text", "_content", "code",
    "status", "identifier", "ingredient", "ingredient-code", "expiration-date", "lot-number", "name", "quantity",
    "substance-reference", "url", "depends-on", "subject", "packaging-cost", "probability", "type",
)
MODIFIERS = (
    "missing", "not", "text", "exact", "contains", "above", "below", "in", "not-in", "of-type", "identifier",
    "iterate", "text-advanced", "code-text", "Medication", "Substance", "bogus", "[type]", "",
)
TYPES = (
    "Medication", "MedicationKnowledge", "Organization", "Substance", "ClinicalUseDefinition", "ValueSet", "Library",
    "RiskAssessment",
)
VALUES = (
    "true", "false", "active", "2026", "ge2026-05", "zz2026", "1", "5.40", "gt5", "1e400", "NaN", "-0",
    "5.4|http://unitsofmeasure.org|mg", "http://ex.org/vs", "Medication/m-amox", "m-amox", "|308191", "|", "a|b|c|d",
    "\\", "\\,", "a\\,b", ",", ",,", "$", "%", "%41", "*", "Medication:ingredient", "Medication:*",
    "Medication:ingredient:Substance", "-status", "status,-_id", "-,", "count", "text", "data", "accurate",
    "Medication/m-amox/_history/1", "#a", "urn:uuid:1", "'", "\"", ";", "--", "%'", "\xf1", "\u0301", "\U0010ffff",
    "\ud7ff", "a OR (b NOT c*)", '"a b"', "a~", "(a", "-_score",
)
# fmt: on

junk = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
codes = st.sampled_from(CODES) | junk
names = st.builds(
    lambda parts, modifier: ".".join(parts) + (f":{modifier}" if modifier is not None else ""),
    st.lists(
        st.builds(lambda code, kind: f"{code}:{kind}" if kind else code, codes, st.sampled_from([*TYPES, "", ""])),
        min_size=1,
        max_size=3,
    ),
    st.none() | st.sampled_from(MODIFIERS) | junk,
) | st.builds(lambda *parts: ":".join(("_has", *parts)), st.sampled_from(TYPES), codes, codes)
values = st.lists(st.sampled_from(VALUES) | junk, min_size=1, max_size=3).map(",".join)
queries = st.lists(st.tuples(names, values), max_size=4)

TOLERANT = settings(
    max_examples=much(50, 200), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def encoded(pairs: list[tuple[str, str]]) -> str:
    return "&".join(f"{quote(name)}={quote(value)}" for name, value in pairs)


def check(server: InProcess, address: str) -> None:
    """200 with a searchset that says what ran, or 4xx with an OperationOutcome."""
    answer = server.ask("GET", address)
    if answer.status == 200:
        assert answer.json["resourceType"] == "Bundle"
        assert answer.json["link"][0]["relation"] == "self"
        again = server.ask("GET", answer.links["self"])
        assert again.status == 200, "the self link runs"
        assert again.links["self"] == answer.links["self"], "the self link is the search that ran"
        assert again.ids == answer.ids
    else:
        assert 400 <= answer.status < 500, answer.body
        problems(answer)


@given(kind=st.sampled_from(TYPES), pairs=queries)
@TOLERANT
def test_any_query_gets_a_searchset_or_a_refusal(server: InProcess, kind: str, pairs: list[tuple[str, str]]) -> None:
    check(server, f"{BASE}/{kind}?{encoded(pairs)}")


@given(pairs=queries)
@TOLERANT
def test_any_query_over_the_system_gets_a_searchset_or_a_refusal(
    server: InProcess, pairs: list[tuple[str, str]]
) -> None:
    check(server, f"{BASE}?{encoded(pairs)}")


paths = st.lists(
    st.sampled_from((*CODES, "ingredient:Medication", "_has:Medication:ingredient:status")), min_size=1, max_size=2
)
comparisons = st.builds(
    lambda path, operator, value: f"{'.'.join(path)} {operator} {value}",
    paths,
    st.sampled_from((*OPERATORS, "is")),
    st.sampled_from((*VALUES, '"a b"', '"', "")),
)
filters = st.recursive(
    comparisons,
    lambda inner: (
        st.builds("{} {} {}".format, inner, st.sampled_from(("and", "or", "not")), inner)
        | inner.map("({})".format)
        | inner.map("not({})".format)
        | inner.map("ingredient[{}].status eq active".format)
    ),
    max_leaves=4,
)


@given(kind=st.sampled_from(TYPES), text=filters)
@TOLERANT
def test_any_filter_gets_a_searchset_or_a_refusal(server: InProcess, kind: str, text: str) -> None:
    check(server, f"{BASE}/{kind}?_filter={quote(text, safe='')}")


@given(text=st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=40))
@TOLERANT
def test_any_raw_query_string_gets_a_searchset_or_a_refusal(server: InProcess, text: str) -> None:
    answer = server.ask("GET", f"{BASE}/Medication?{text.replace('#', '%23')}")
    assert answer.status == 200 or (400 <= answer.status < 500 and problems(answer))


@given(
    segments=st.lists(
        junk | st.sampled_from(["Medication", "m-amox", "_history", "1", "_search", "metadata"]), max_size=4
    )
)
@TOLERANT
def test_any_path_gets_an_answer_or_a_refusal(server: InProcess, segments: list[str]) -> None:
    answer = server.ask("GET", BASE + "".join(f"/{quote(one, safe='')}" for one in segments))
    assert answer.status < 500
    if answer.status >= 400:
        problems(answer)


HEADERS = [
    "Accept",
    "Prefer",
    "If-None-Match",
    "If-Modified-Since",
    "X-Request-Id",
    "Origin",
    "X-Forwarded-Host",
    "User-Agent",
]
header_text = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=30) | st.sampled_from(
    [
        "application/fhir+json; fhirVersion=",
        "application/fhir+json;q=x",
        "handling=strict;;,",
        'W/"',
        ",,,",
        "*/*;q=nan",
    ]
)


@given(headers=st.dictionaries(st.sampled_from(HEADERS), header_text, max_size=4))
@TOLERANT
def test_any_headers_get_an_answer_or_a_refusal(server: InProcess, headers: dict[str, str]) -> None:
    answer = server.ask("GET", f"{BASE}/Medication/m-amox", headers)
    assert answer.status < 500
    if answer.status >= 400:
        problems(answer)


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """A failure of the server is in its log: it fails the test whatever the answer was."""
    yield
    assert not [record for record in caplog.records if record.name == "apothecary" and record.levelname == "ERROR"]
