"""Dates are spans: https://hl7.org/fhir/R5/search.html#date"""

from __future__ import annotations

import pytest

from apothecary.fhir.temporal import DAY, SECOND, http_date, instant, now, parse_span

SPANS = (
    # text, the instant it begins, its length in microseconds
    ("2026", "2026-01-01T00:00:00.000Z", 365 * DAY),
    ("2024", "2024-01-01T00:00:00.000Z", 366 * DAY),
    ("2024-02", "2024-02-01T00:00:00.000Z", 29 * DAY),
    ("2026-12", "2026-12-01T00:00:00.000Z", 31 * DAY),
    ("2026-05-11", "2026-05-11T00:00:00.000Z", DAY),
    ("2026-05-11T13:28Z", "2026-05-11T13:28:00.000Z", 60 * SECOND),
    ("2026-05-11T13:28:07Z", "2026-05-11T13:28:07.000Z", SECOND),
    ("2026-05-11T13:28:07.5Z", "2026-05-11T13:28:07.500Z", SECOND // 10),
    ("2026-05-11T13:28:07.123456789Z", "2026-05-11T13:28:07.123Z", 1),
    ("2026-05-11T00:30:00+02:00", "2026-05-10T22:30:00.000Z", SECOND),
    ("2026-05-11T23:30:00-05:00", "2026-05-12T04:30:00.000Z", SECOND),
    ("2026-05-11T13:28:07", "2026-05-11T13:28:07.000Z", SECOND),
    ("0066-10-14", "0066-10-14T00:00:00.000Z", DAY),
    ("1066-10-14", "1066-10-14T00:00:00.000Z", DAY),
)


@pytest.mark.parametrize(("text", "begins", "length"), SPANS)
def test_a_date_spans_what_its_precision_leaves_open(text: str, begins: str, length: int) -> None:
    span = parse_span(text)
    assert instant(span.low) == begins
    assert span.high - span.low == length


def test_the_last_year_ends() -> None:
    assert parse_span("9999").high == parse_span("9999-12").high == parse_span("9999-12-31").high


@pytest.mark.parametrize(
    "text",
    [
        "0000",
        "20260501",
        "2026-5",
        "2026-13",
        "2026-00",
        "2026-02-30",
        "1900-02-29",
        "2026-05-11T24:00:00Z",
        "2026-05-11T11",
        "2026-05-11T11:60Z",
        "2026-05-11T11:00:00+15:00",
        "2026-05-11Z",
        "2026-05-11t11:00:00Z",
        "２０２６",
        "2026-05-11T11:00:00.Z",
        "",
    ],
)
def test_what_is_no_date_is_refused_with_a_reason(text: str) -> None:
    with pytest.raises(ValueError, match=r".{10,}"):
        parse_span(text)


def test_http_dates_do_not_follow_the_locale() -> None:
    assert http_date(parse_span("1994-11-06T08:49:37Z").low) == "Sun, 06 Nov 1994 08:49:37 GMT"


def test_now_has_the_precision_of_last_updated() -> None:
    assert now() % 1000 == 0
    assert parse_span(instant(now())).low == pytest.approx(now(), abs=5 * SECOND)
