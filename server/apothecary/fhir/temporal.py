"""FHIR dates and times as ranges of instants.

A date is the whole span that its precision leaves open: `2026-05` is every instant of that May.
https://hl7.org/fhir/R5/datatypes.html#dateTime and https://hl7.org/fhir/R5/search.html#date
"""

from __future__ import annotations

import calendar
import re
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from apothecary.fhir.caches import short_cache

SECOND = 1_000_000
DAY = 86_400 * SECOND
_EPOCH = date(1970, 1, 1).toordinal()

# The ends of time, for periods that are open on one side. Both fit a signed 64-bit integer.
BEGINNING = -(2**62)
END = 2**62

_DATE_TIME = re.compile(
    r"(?P<year>\d{4})(?:-(?P<month>\d{2})(?:-(?P<day>\d{2})"
    r"(?:T(?P<hour>\d{2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:\.(?P<fraction>\d{1,9}))?)?(?P<zone>Z|[+-]\d{2}:\d{2})?)?)?)?",
    re.ASCII,
)


class Span(NamedTuple):
    """A half-open range of time: microseconds since 1970-01-01T00:00:00Z, `low` included, `high` not."""

    low: int
    high: int


@short_cache(4096, longest=50)
def parse_span(text: str) -> Span:
    """The span that a date, dateTime or instant names. Without a zone, UTC is meant. Raises ValueError for what is no
    date.
    """
    match = _DATE_TIME.fullmatch(text)
    if match is None:
        raise ValueError(
            f"{text!r} is not a date: write YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ss with Z or an offset"
        )
    year = int(match["year"])
    if match["month"] is None:
        return Span(_midnight(year, 1, 1), _midnight(year + 1, 1, 1))
    month = int(match["month"])
    if not 1 <= month <= 12:
        raise ValueError(f"{text!r} has no month {month}")
    if match["day"] is None:
        following = (year, month + 1) if month < 12 else (year + 1, 1)
        return Span(_midnight(year, month, 1), _midnight(*following, 1))
    start = _midnight(year, month, int(match["day"]), text)
    if match["hour"] is None:
        return Span(start, start + DAY)
    return _time(match, text, start)


def _midnight(year: int, month: int, day: int, text: str = "") -> int:
    if year == 10000:  # the first instant after the last year that can be written
        return (date.max.toordinal() + 1 - _EPOCH) * DAY
    try:
        return (date(year, month, day).toordinal() - _EPOCH) * DAY
    except ValueError:
        last = calendar.monthrange(year, month)[1] if year else 0
        hint = f": {year}-{month:02} has {last} days" if last else ": the first year is 0001"
        raise ValueError(f"{text or year!r} is not a day of the calendar{hint}") from None


def _time(match: re.Match[str], text: str, start: int) -> Span:
    hour, minute, second = int(match["hour"]), int(match["minute"]), int(match["second"] or 0)
    # 60 is a leap second; 24:00 is not allowed (https://hl7.org/fhir/R5/datatypes.html#dateTime).
    if hour > 23 or minute > 59 or second > 60:
        raise ValueError(f"{text!r} has no such time of day")
    low = start + ((hour * 60 + minute) * 60 + second) * SECOND
    zone = match["zone"]
    if zone and zone != "Z":
        hours, minutes = int(zone[1:3]), int(zone[4:6])
        if hours > 14 or minutes > 59:
            raise ValueError(f"{text!r} has no such offset from UTC")
        low -= (1 if zone[0] == "+" else -1) * (hours * 60 + minutes) * 60 * SECOND
    if match["second"] is None:
        return Span(low, low + 60 * SECOND)
    fraction = match["fraction"]
    if fraction is None:
        return Span(low, low + SECOND)
    # Finer than a microsecond is cut: the index holds microseconds.
    digits = fraction[:6]
    low += int(digits.ljust(6, "0"))
    return Span(low, low + 10 ** (6 - len(digits)))


def is_cut(text: str) -> bool:
    """Whether what the date in `text` means lies inside the microsecond that `parse_span` gives for it."""
    match = _DATE_TIME.fullmatch(text)
    return match is not None and bool((match["fraction"] or "")[6:].strip("0"))


def now() -> int:
    """This instant in microseconds since 1970, cut to milliseconds: the precision of `meta.lastUpdated`."""
    return int(datetime.now(UTC).timestamp() * 1000) * 1000


class Clock:
    """The time of one request: looked at when it is asked for first, so that it is known whether the answer hangs on
    it.
    """

    __slots__ = ("_moment",)

    def __init__(self) -> None:
        self._moment: int | None = None

    @property
    def asked(self) -> bool:
        """Whether anybody asked for the time: another request for the same may then be answered otherwise."""
        return self._moment is not None

    def __call__(self) -> int:
        """This instant, as `now` gives it, and the same one whenever it is asked for."""
        if self._moment is None:
            self._moment = now()
        return self._moment


# All that one transaction writes has one time.
@lru_cache(maxsize=64)
def instant(microseconds: int) -> str:
    """A FHIR instant in UTC with milliseconds: `2026-11-22T12:00:00.000Z`."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
    # Not strftime's %Y: it may leave out the zeros of an early year.
    return f"{moment.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


def http_date(microseconds: int) -> str:
    """An HTTP date, to the second: https://www.rfc-editor.org/rfc/rfc9110#section-5.6.7"""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
    return f"{_DAYS[moment.weekday()]}, {moment.day:02} {_MONTHS[moment.month - 1]} {moment:%Y %H:%M:%S} GMT"


# Not strftime's %a and %b: those follow the locale, HTTP does not.
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
