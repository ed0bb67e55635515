"""Date, DateTime and Time of FHIRPath: what is written, how it compares, how it moves
(https://hl7.org/fhirpath/N1/#datetime and https://hl7.org/fhirpath/N1/#datetime-arithmetic).
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Literal

from apothecary.fhir.caches import short_cache

Kind = Literal["Date", "DateTime", "Time"]

_TIME = r"(?P<hour>\d\d)(?::(?P<minute>\d\d)(?::(?P<second>\d\d(?:\.\d{1,12})?))?)?"
_TEMPORAL = re.compile(
    rf"(?P<year>\d{{4}})(?:-(?P<month>\d\d)(?:-(?P<day>\d\d))?)?(?P<t>T(?:{_TIME}(?P<zone>Z|[+-]\d\d:\d\d)?)?)?",
    re.ASCII,
)
_TIME_ALONE = re.compile(_TIME, re.ASCII)
# Precision in digits of each part that is written: https://hl7.org/fhirpath/#precision-integer
_DIGITS = (4, 6, 8, 10, 12, 14)
# The units that move a date by the calendar, and those that do so by a fixed length.
_MONTHS = {"year": 12, "month": 1}
_SECONDS = {
    "week": Decimal(604_800),
    "day": Decimal(86_400),
    "hour": Decimal(3_600),
    "minute": Decimal(60),
    "second": Decimal(1),
    "millisecond": Decimal("0.001"),
}
CALENDAR = frozenset((*_MONTHS, *_SECONDS))
# The units of UCUM that mean a fixed length of time; its month and year are means, not those of the calendar.
_UCUM = {"wk": "week", "d": "day", "h": "hour", "min": "minute", "s": "second", "ms": "millisecond"}
_LONGEST_MOVE = 10_000 * 366 * 86_400


class NotTemporal(ValueError):
    """No date or time comes of it; the message is the reason."""


@dataclass(frozen=True, slots=True)
class Temporal:
    """A date, dateTime or time. `parts` are year, month, day, hour, minute and second (a Decimal, because seconds and
    milliseconds are one precision) as far as they are written; a time begins with its hour. `zone` is in minutes.
    `fraction` is how many digits of the second are written.
    """

    kind: Kind
    parts: tuple[int | Decimal, ...]
    zone: int | None = None
    fraction: int = 0

    def __str__(self) -> str:
        first = 3 if self.kind == "Time" else 0
        text = ""
        for index, part in enumerate(self.parts, first):
            if index == 0:
                text = f"{part:04}"
            elif index < 3:
                text += f"-{part:02}"
            else:
                text += ("" if index == first else "T" if index == 3 else ":") + self._two(index, part)
        return text + self._zone()

    def _two(self, index: int, part: int | Decimal) -> str:
        if index < 5:
            return f"{part:02}"
        width = self.fraction + 3 if self.fraction else 2
        return f"{part:0{width}.{self.fraction}f}"

    def _zone(self) -> str:
        if self.zone is None:
            return ""
        if self.zone == 0:
            return "Z"
        hours, minutes = divmod(abs(self.zone), 60)
        return f"{'-' if self.zone < 0 else '+'}{hours:02}:{minutes:02}"

    @property
    def precision(self) -> int:
        """The number of digits that are written."""
        digits = 2 * len(self.parts) if self.kind == "Time" else _DIGITS[len(self.parts) - 1]
        return digits + self.fraction

    def in_utc(self) -> Temporal:
        """The same moment in UTC, where a zone and at least the minutes are given."""
        if not self.zone or len(self.parts) < 5:
            return self
        year, month, day, hour, minute = map(int, self.parts[:5])
        try:
            moved = datetime(year, month, day, hour, minute) - timedelta(minutes=self.zone)
        except (OverflowError, ValueError):
            return self
        parts = (moved.year, moved.month, moved.day, moved.hour, moved.minute, *self.parts[5:])
        return replace(self, parts=parts, zone=0)

    def as_date_time(self) -> Temporal:
        """A date as a dateTime without a time, anything else as it is."""
        return replace(self, kind="DateTime") if self.kind == "Date" else self


@short_cache(2048)
def parse_temporal(text: str) -> Temporal | None:
    """A date, or with a `T` a dateTime, as FHIRPath and FHIR write them; None for what is none."""
    match = _TEMPORAL.fullmatch(text)
    if match is None:
        return None
    parts: list[int | Decimal] = [int(match[name]) for name in ("year", "month", "day") if match[name]]
    if len(parts) > 1 and not 1 <= parts[1] <= 12:
        return None
    if not parts[0] or (len(parts) > 2 and not 1 <= parts[2] <= calendar.monthrange(int(parts[0]), int(parts[1]))[1]):
        return None
    if match["t"] is None:
        return Temporal("Date", tuple(parts))
    if match["hour"] is None:
        return Temporal("DateTime", tuple(parts))
    time = _time(match)
    # A time says nothing without its day.
    if time is None or len(parts) < 3:
        return None
    return Temporal("DateTime", (*parts, *time), _offset(match["zone"]), _fraction(match))


@short_cache(256)
def parse_time(text: str) -> Temporal | None:
    """A time, which has no zone; None for what is none."""
    match = _TIME_ALONE.fullmatch(text)
    time = None if match is None else _time(match)
    return None if match is None or time is None else Temporal("Time", time, None, _fraction(match))


def _time(match: re.Match[str]) -> tuple[int | Decimal, ...] | None:
    found: list[int | Decimal] = [int(match["hour"])]
    if match["minute"]:
        found.append(int(match["minute"]))
    if match["second"]:
        found.append(Decimal(match["second"]))
    # 60 is a leap second.
    limits = (23, 59, 61)
    good = all(part <= limit for part, limit in zip(found, limits, strict=False)) and (len(found) < 3 or found[2] < 61)
    return tuple(found) if good else None


def _fraction(match: re.Match[str]) -> int:
    return len((match["second"] or "").partition(".")[2])


def _offset(zone: str | None) -> int | None:
    if zone is None or zone == "Z":
        return None if zone is None else 0
    return (int(zone[1:3]) * 60 + int(zone[4:6])) * (-1 if zone[0] == "-" else 1)


def order(one: Temporal, other: Temporal) -> int | None:
    """-1, 0 or 1; None where it cannot be told: the precisions differ, or one alone has a zone."""
    if (one.kind == "Time") is not (other.kind == "Time"):
        raise NotTemporal("a time and a date have no order")
    timed = len(one.parts) > 3 and len(other.parts) > 3
    if timed and one.kind != "Time" and (one.zone is None) is not (other.zone is None):
        return _apart(one, other)
    one, other = one.in_utc(), other.in_utc()
    for left, right in zip(one.parts, other.parts, strict=False):
        if left != right:
            return -1 if left < right else 1
    return 0 if len(one.parts) == len(other.parts) else None


def _apart(one: Temporal, other: Temporal) -> int | None:
    """The order of two moments of which one has no zone: told when no zone could change it (-12:00 to +14:00)."""
    days = [date(*map(int, item.in_utc().parts[:3])).toordinal() for item in (one, other)]
    if abs(days[0] - days[1]) < 2:
        return None
    return -1 if days[0] < days[1] else 1


def moved(start: Temporal, value: Decimal, unit: str) -> Temporal:
    """`start` that much later, to its own precision. Raises NotTemporal for a unit that moves no date."""
    unit = _UCUM.get(unit, unit)
    if unit in _MONTHS and start.kind != "Time":
        return _by_months(start, int(value) * _MONTHS[unit])
    if unit not in _SECONDS:
        raise NotTemporal(f"a date cannot be moved by {unit!r}")
    if unit not in ("second", "millisecond"):
        value = Decimal(int(value))  # The calendar knows no part of a day: https://hl7.org/fhirpath/N1/#quantity
    seconds = value * _SECONDS[unit]
    if start.kind == "Time":
        return _by_clock(start, seconds)
    if len(start.parts) < 3:
        # A year or month moves by whole ones: 30 days are a month, 365 a year.
        months = int(seconds / (86_400 * 30)) if len(start.parts) == 2 else int(seconds / (86_400 * 365)) * 12
        return _by_months(start, months)
    if abs(seconds) > _LONGEST_MOVE:
        raise NotTemporal("the date is outside the years 1 to 9999")
    return _by_seconds(start, seconds)


def _by_months(start: Temporal, months: int) -> Temporal:
    if len(start.parts) == 1:
        months = int(months / 12) * 12
    year, month = divmod(
        int(start.parts[0]) * 12 + (int(start.parts[1]) - 1 if len(start.parts) > 1 else 0) + months, 12
    )
    if not 1 <= year <= 9999:
        raise NotTemporal("the date is outside the years 1 to 9999")
    parts: list[int | Decimal] = [year, month + 1, *start.parts[2:]][: len(start.parts)]
    if len(parts) > 2:
        parts[2] = min(int(parts[2]), calendar.monthrange(year, month + 1)[1])
    return replace(start, parts=tuple(parts))


def _by_seconds(start: Temporal, seconds: Decimal) -> Temporal:
    year, month, day, hour, minute = (*map(int, start.parts[:5]), 0, 0)[:5]
    second = Decimal(start.parts[5]) if len(start.parts) > 5 else Decimal(0)
    whole, rest = divmod(second + seconds, 1)
    if rest < 0:
        whole, rest = whole - 1, rest + 1
    try:
        found = datetime(year, month, day, hour, minute) + timedelta(seconds=int(whole))
    except (OverflowError, ValueError):
        raise NotTemporal("the date is outside the years 1 to 9999") from None
    parts = (found.year, found.month, found.day, found.hour, found.minute, found.second + rest)
    return replace(start, parts=parts[: len(start.parts)])


def _by_clock(start: Temporal, seconds: Decimal) -> Temporal:
    hour, minute, second = (*start.parts, 0, 0)[:3]
    total = (hour * 3600 + minute * 60 + second + seconds) % 86_400
    total = total + 86_400 if total < 0 else total
    minutes, rest = divmod(Decimal(total), 60)
    parts = (int(minutes) // 60, int(minutes) % 60, rest)
    return replace(start, parts=parts[: len(start.parts)])


def boundary(value: Temporal, low: bool, precision: int | None) -> Temporal | None:
    """The first or last moment that `value` may mean, to `precision` digits; None for a precision that there is not.

    https://hl7.org/fhirpath/#lowboundaryprecision-integer-decimal-date-datetime-time
    """
    time = value.kind == "Time"
    digits = precision if precision is not None else 9 if time else 8 if value.kind == "Date" else 17
    counts = {2: 1, 4: 2, 6: 3, 9: 3} if time else {4: 1, 6: 2, 8: 3, 10: 4, 12: 5, 14: 6, 17: 6}
    if digits not in counts:
        return None
    parts = list(value.parts)
    whole = 3 if time else 6
    while len(parts) < whole:
        parts.append(_end(parts, low, time))
    if len(value.parts) == whole:
        parts[-1] = Decimal(parts[-1]) if low or value.fraction >= 3 else parts[-1] + 1 - Decimal("0.001")
    zone = value.zone
    if not time and counts[digits] > 3 and zone is None:
        zone = 14 * 60 if low else -12 * 60
    kind: Kind = "Time" if time else "Date" if value.kind == "Date" and digits <= 8 else "DateTime"
    return Temporal(
        kind, tuple(parts[: counts[digits]]), zone if counts[digits] > 3 else None, 3 if digits in (9, 17) else 0
    )


def _end(parts: list[int | Decimal], low: bool, time: bool) -> int | Decimal:
    """The least or greatest value of the part that comes after `parts`."""
    index = len(parts) + (3 if time else 0)
    if index == 1:
        return 1 if low else 12
    if index == 2:
        return 1 if low else calendar.monthrange(int(parts[0]), int(parts[1]))[1]
    return (0, 0, Decimal(0))[index - 3] if low else (23, 59, Decimal("59.999"))[index - 3]
