"""The limits that a profile sets on single values: least and most, lengths, a form, that there is a value at all
(https://hl7.org/fhir/R5/elementdefinition.html#ElementDefinition.minValue_x_).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from apothecary.errors import BudgetSpent, RegularExpressionError
from apothecary.fhir.budgets import Budget
from apothecary.fhir.regular_expressions import regular_expression
from apothecary.fhir.temporal import parse_span
from apothecary.validation.conformance.values import Occurrence
from apothecary.validation.diagnostics import shown
from apothecary.validation.fhirpath.temporal import Temporal, moved
from apothecary.validation.natives import amount
from apothecary.validation.profiles.model import ElementRules

# Enough to look for a short pattern in the longest text.
_STEPS = 2_000_000


_TEMPORAL = frozenset({"date", "dateTime", "instant", "time"})
_MOVED = _TEMPORAL - {"time"}
# What UCUM calls the year and the month: for a date those of the calendar are meant.
_CALENDAR = {"a": "year", "mo": "month"}


class Unlimited(Exception):
    """A limit cannot be applied; the message says why."""


def broken(rules: ElementRules, item: Occurrence, profile: str) -> Iterator[tuple[str, str]]:
    """Each limit that a value breaks: the rule's id, and what it says after the element's name. Raises Unlimited.

    `profile` is the name of the profile for messages.
    """
    value = item.value
    if value is None:
        yield from _without_value(rules, item, profile)
        return
    if rules.least is not None:
        least = _limit(rules.least.value, item.node.type, -1)
        if _order(value, least, item.node.type) < 0:
            yield "profile-limit", f"is {_told(value)}, but {profile} allows nothing below {_told(least)}"
    if rules.most is not None:
        most = _limit(rules.most.value, item.node.type, 1)
        if _order(value, most, item.node.type) > 0:
            yield "profile-limit", f"is {_told(value)}, but {profile} allows nothing above {_told(most)}"
    if not isinstance(value, str):
        return
    if rules.max_length is not None and len(value) > rules.max_length:
        yield "profile-length", f"has {len(value)} characters, but {profile} allows {rules.max_length}"
    if isinstance(rules.min_length, int) and len(value) < rules.min_length:
        yield "profile-length", f"has {len(value)} characters, but {profile} asks for {rules.min_length}"
    if rules.regex is not None and not _has_form(value, rules.regex):
        yield "profile-form", f"is {shown(value)}, which has not the form that {profile} asks for: {rules.regex}"


def _without_value(rules: ElementRules, item: Occurrence, profile: str) -> Iterator[tuple[str, str]]:
    if rules.needs_value:
        yield "profile-value", f"has no value, which {profile} asks for"
    elif rules.alternatives:
        twin = item.node.twin if isinstance(item.node.twin, dict) else {}
        listed = twin.get("extension")
        urls = {one.get("url") for one in (listed if isinstance(listed, list) else ()) if isinstance(one, dict)}
        if urls.isdisjoint(url.partition("|")[0] for url in rules.alternatives):
            named = ", ".join(rules.alternatives)
            yield "profile-value", f"has neither a value nor what {profile} allows in its place: {named}"


def _has_form(value: str, regex: str) -> bool:
    try:
        return regular_expression(regex).matches(value, Budget(_STEPS))
    except (RegularExpressionError, BudgetSpent) as error:
        raise Unlimited(f"the form {shown(regex)} cannot be evaluated: {error}") from error


def _limit(limit: Any, type_name: str, sign: int) -> Any:
    """A limit as it is, but for a duration on a date: that is counted from now, back for the least and onwards for the
    most. Raises Unlimited for one that moves no date.
    """
    if type_name not in _MOVED or not isinstance(limit, dict):
        return limit
    number, unit = limit.get("value"), str(limit.get("code") or limit.get("unit") or "")
    moment = datetime.now(UTC)
    parts = (moment.year, moment.month, moment.day, moment.hour, moment.minute, Decimal(moment.second))
    try:
        return str(moved(Temporal("DateTime", parts, 0), sign * Decimal(str(number)), _CALENDAR.get(unit, unit)))
    except (InvalidOperation, ValueError) as error:
        raise Unlimited(f"{_told(limit)} is no duration from now: {error}") from error


def _order(value: Any, limit: Any, type_name: str) -> int:
    """-1 when `value` is surely below `limit`, 1 when it is surely above, else 0. Raises Unlimited."""
    if isinstance(value, dict) and isinstance(limit, dict):
        one, other = amount(value), amount(limit)
        if one is None or other is None or one[1] != other[1]:
            raise Unlimited(f"{_told(value)} and {_told(limit)} cannot be compared")
        return _compare(one[0], other[0])
    if type_name in _TEMPORAL:
        return _order_in_time(str(value), str(limit))
    try:
        return _compare(Decimal(str(value)), Decimal(str(limit)))
    except InvalidOperation:
        return 0  # The type of the value is wrong, which its own rule tells.


def _order_in_time(value: str, limit: str) -> int:
    if ":" in limit[:3]:
        return _compare(value, limit[: len(value)]) if ":" in value[:3] else 0
    try:
        one, other = parse_span(value), parse_span(limit)
    except ValueError:
        return 0
    if one.high <= other.low:
        return -1
    return 1 if one.low >= other.high else 0


def _compare(one: Any, other: Any) -> int:
    return int(one > other) - int(one < other)


def _told(value: Any) -> str:
    if not isinstance(value, dict):
        return shown(value)
    return f"{value.get('value')} {value.get('code') or value.get('unit') or ''}".rstrip()
