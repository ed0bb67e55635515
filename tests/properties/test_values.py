"""Laws of the values that search compares: order, round trips, containment."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from apothecary.fhir.decimals import MAX_DIGITS, from_sortable, implicit_range, parse_decimal, sortable
from apothecary.fhir.json import dumps, parse
from apothecary.fhir.temporal import instant, parse_span
from apothecary.search.text import escape, fold, split, unescape
from apothecary.store.shape import after_prefix

texts = st.text(st.characters(exclude_categories=("Cs",)))
numbers = st.decimals(allow_nan=False, allow_infinity=False).filter(
    lambda one: len(one.as_tuple().digits) <= MAX_DIGITS and abs(int(one.as_tuple().exponent)) < 4000
)


@given(st.lists(texts))
def test_an_escaped_list_is_cut_and_read_back(parts: list[str]) -> None:
    joined = ",".join(escape(one) for one in parts)
    assert [unescape(one) for one in split(joined, ",")] == (parts or [""])


@given(texts, st.sampled_from(",|$"))
def test_no_escape_or_separator_is_lost_by_cutting(text: str, separator: str) -> None:
    assert separator.join(split(text, separator)) == text


@given(texts)
def test_folding_twice_is_folding_once(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@given(numbers, numbers)
def test_sortable_texts_compare_as_their_numbers(one: Decimal, other: Decimal) -> None:
    assert (sortable(one) < sortable(other)) == (one < other)
    assert (sortable(one) == sortable(other)) == (one == other)
    assert from_sortable(sortable(one)) == one


@given(st.from_regex(r"\A-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?\Z"))
def test_a_number_lies_in_its_own_implicit_range(text: str) -> None:
    number = parse_decimal(text)
    low, high = implicit_range(number)
    assert low < number < high
    assert dumps(parse(text)).decode() == text


@given(st.datetimes(), st.integers(0, 5))
def test_a_coarser_date_contains_every_finer_one(moment: datetime, precision: int) -> None:
    whole = moment.isoformat(timespec="seconds") + "Z"
    shorter = whole[: (4, 7, 10, 16, 19, 20)[precision]] + ("Z" if precision in (3, 4) else "")
    inner, outer = parse_span(whole), parse_span(shorter)
    assert outer.low <= inner.low < inner.high <= outer.high
    if precision == 0 or outer.low == inner.low:
        assert parse_span(instant(outer.low)).low == outer.low


@given(texts.filter(bool), texts)
def test_exactly_the_texts_with_a_prefix_lie_between_it_and_what_comes_after(prefix: str, rest: str) -> None:
    assert prefix <= prefix + rest < after_prefix(prefix)
    assert (prefix <= rest < after_prefix(prefix)) == rest.startswith(prefix)
