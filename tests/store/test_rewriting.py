"""Predicates are put in the form that an index has together, and ask for the same."""

from __future__ import annotations

import pytest

from apothecary.search.predicates import (
    And,
    Chain,
    Compare,
    Every,
    Has,
    Joined,
    Not,
    Nothing,
    Or,
    Predicate,
    Resource,
    Row,
    Some,
)
from apothecary.search.text import KEY_LENGTH
from apothecary.store import rewriting
from apothecary.store.rewriting import ALTERNATIVES, rewritten

ACTIVE = Row("token", "status", Compare("code", "=", "active"))


def updated(operator: str, value: int) -> Compare:
    return Compare("updated", operator, value)  # type: ignore[arg-type] # any of the operators


def between(low: int, high: int) -> Resource:
    return Resource(Every((updated(">=", low), updated("<=", high))))


MOMENTS = [
    # Both ends of a range, as two parameters.
    (And((Resource(updated(">=", 5)), Resource(updated("<", 9)))), between(5, 8)),
    (And((Resource(updated(">", 5)), ACTIVE, Resource(updated("<=", 9)))), And((between(6, 9), ACTIVE))),
    # `ge` is after the span or within it: one range without a gap.
    (
        Resource(Some((updated(">", 9), Every((updated(">=", 5), updated("<=", 9)))))),
        Resource(Every((updated(">=", 5),))),
    ),
    (And((Resource(updated(">", 9)), Resource(updated("<", 5)))), Nothing()),
    (Resource(updated("=", 5)), between(5, 5)),
    (
        Resource(updated("!=", 5)),
        Or((Resource(Every((updated("<=", 4),))), Resource(Every((updated(">=", 6),))))),
    ),
    (And((Resource(updated("!=", 5)), Resource(updated("<", 6)))), Resource(Every((updated("<=", 4),)))),
    (
        And((Or((Resource(updated("=", 5)), Resource(updated(">", 8)))), ACTIVE, Resource(updated("<", 10)))),
        And((Or((between(5, 5), between(9, 9))), ACTIVE)),
    ),
    # In a chain and under a negation, too.
    (Not(Resource(updated("=", 5))), Not(between(5, 5))),
    (Chain("subject", "Patient", Resource(updated("=", 5))), Chain("subject", "Patient", between(5, 5))),
    (Has("Group", "member", Resource(updated("=", 5))), Has("Group", "member", between(5, 5))),
]


@pytest.mark.parametrize(("asked", "expected"), MOMENTS)
def test_conditions_on_the_moment_of_change_are_as_few_ranges_as_there_can_be(
    asked: Predicate, expected: Predicate
) -> None:
    assert rewritten(asked) == expected


def test_a_span_within_another_has_its_low_end_bounded_on_both_sides() -> None:
    within = Every((Compare("low", ">=", 5), Compare("high", "<=", 9)))
    assert rewritten(Row("date", "date", within)) == Row("date", "date", Every((within, Compare("low", "<=", 9))))
    unit = Compare("code", "=", "mg")
    amount = Every((unit, Every((Compare("low", ">=", "a"), Compare("high", "<", "b")))))
    closed = rewritten(Row("quantity", "strength", amount))
    assert isinstance(closed, Row)
    assert isinstance(closed.where, Every)
    assert closed.where.of[-1] == Compare("low", "<", "b")
    part = Joined((Row("token", "a", Compare("code", "=", "x")), Row("date", "b", within)))
    found = rewritten(part)
    assert isinstance(found, Joined)
    assert found.parts[1].where == Every((within, Compare("low", "<=", 9)))


@pytest.mark.parametrize("table", ["date", "quantity"])
def test_what_a_span_may_meet_in_two_ways_is_looked_for_in_two_places(table: str) -> None:
    above, within = Compare("high", ">", 9), Every((Compare("low", ">=", 5), Compare("high", "<=", 9)))
    found = rewritten(Row(table, "x", Some((above, within))))  # type: ignore[arg-type] # one of the tables
    assert isinstance(found, Or)
    assert found.of[0] == Row(table, "x", above)  # type: ignore[arg-type] # one of the tables
    assert len(found.of) == 2


def code(value: str, system: str = "") -> Row:
    where = Compare("code", "=", value)
    return Row("token", "code", Every((where, Compare("system", "=", system))) if system else where)


MANY = tuple(map(str, range(ALTERNATIVES + 1)))


def test_more_than_a_few_values_are_one_list_and_few_stay_apart() -> None:
    few = Or(tuple(map(code, MANY[:-1])))
    assert rewritten(few) == few
    assert rewritten(Or(tuple(map(code, MANY)))) == Row("token", "code", Compare("code", "in", MANY))
    ids = Or(tuple(Resource(Compare("id", "=", one)) for one in MANY))
    assert rewritten(ids) == Resource(Compare("id", "in", MANY))


def test_a_list_holds_what_is_alike_but_for_one_value() -> None:
    prefix = Row("token", "code", Compare("code", "prefix", "x"))
    asked = Or((*(code(one, "a") for one in MANY), *(code(one, "b") for one in MANY[:2]), code("c", "c"), prefix))
    assert rewritten(asked) == Or(
        (
            Row("token", "code", Every((Compare("code", "in", MANY), Compare("system", "=", "a")))),
            Row("token", "code", Every((Compare("code", "in", MANY[:2]), Compare("system", "=", "b")))),
            Row("token", "code", Every((Compare("code", "=", "c"), Compare("system", "=", "c")))),
            prefix,
        )
    )


def test_what_needs_no_other_form_stays_the_same_object(monkeypatch: pytest.MonkeyPatch) -> None:
    text = Row("text", "_content", Compare("words", "matches", "x"))
    for one in (ACTIVE, text, Nothing(), Resource(Compare("id", "=", "a"))):
        assert rewritten(one) is one
    monkeypatch.setattr(rewriting, "ALTERNATIVES", 0)
    assert rewritten(Or((text, ACTIVE))) == Or((ACTIVE, text))


def text(table: str, column: str, operator: str, value: str, whole: str | None = None) -> Row:
    """A comparison of the beginning of a text that the index has, and one of the whole."""
    both = Compare("prefix", operator, value), Compare(column, operator, whole or value)  # type: ignore[arg-type] # any of the operators
    return Row(table, "name", Every(both))  # type: ignore[arg-type] # one of the tables


LONG = "a" * KEY_LENGTH


@pytest.mark.parametrize(
    ("given", "alone"),
    [
        (text("string", "folded", "prefix", "tablet"), True),
        (text("string", "folded", "prefix", LONG), True),
        (text("string", "folded", "prefix", LONG, f"{LONG}b"), False),
        (text("string", "folded", "contains", "tablet"), False),
        (text("uri", "value", "=", "urn:a"), True),
        (text("uri", "value", "=", LONG), False),
        # As it is written, with capital letters and accents.
        (text("string", "exact", "=", "tablet"), False),
    ],
)
def test_a_text_is_looked_up_only_where_its_beginning_does_not_say_all(given: Row, alone: bool) -> None:
    assert isinstance(given.where, Every)
    assert rewritten(given) == (Row(given.table, "name", given.where.of[0]) if alone else given)
