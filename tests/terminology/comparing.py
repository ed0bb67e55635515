"""Compares an answer with one of the expected answers of HL7's terminology tests, markers and all.

The markers are described in tests/data/tx-tests/README.md. The order of parameters, codes, designations, properties,
extensions and issues does not count, as it does not in HL7's own runner.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

UNORDERED = {"parameter", "contains", "designation", "property", "extension", "issue", "part"}
# Deprecated since R4, and in R5 only what `expression` says once more.
IGNORED = {"location"}
MARKERS = {
    "uuid": re.compile(r"(urn:uuid:)?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    "instant": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)"),
    "date": re.compile(r"\d{4}(-\d\d(-\d\d(T.*)?)?)?"),
    "id": re.compile(r"[A-Za-z0-9\-.]{1,64}"),
    "url": re.compile(r"\S+:\S+"),
    "token": re.compile(r"\S+"),
    "version": re.compile(r"\S+"),
    "semver": re.compile(r"\d+\.\d+\.\d+.*"),
    "string": re.compile(r"(?s).+"),
    "": re.compile(r"(?s).*"),
}


@dataclass
class Difference:
    """What differs: `hard` is what a client would act upon, `texts` what a person would read."""

    hard: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    def add(self, other: Difference) -> None:
        self.hard += other.hard
        self.texts += other.texts


def compare(expected: Any, actual: Any, path: str = "", name: str = "", text: bool = False) -> Difference:
    """How `actual` differs from `expected`; `text` marks the values that are for people."""
    found = Difference()
    if isinstance(expected, dict):
        if not isinstance(actual, dict):
            found.hard.append(f"{path}: {actual!r} is no object")
            return found
        optional = set(expected.get("$optional-properties$", ()))
        counted = set(expected.get("$count-arrays$", ()))
        message = expected.get("name") == "message"
        wanted = {key: value for key, value in expected.items() if not key.startswith("$") and key not in IGNORED}
        for key, value in wanted.items():
            here = f"{path}.{key}"
            if key not in actual:
                if key not in optional and not _all_optional(value):
                    found.hard.append(f"{here} is missing: {value!r}"[:300])
            elif key in counted:
                if len(actual[key]) != len(value):
                    found.hard.append(f"{here} has {len(actual[key])} of {len(value)}")
            else:
                words = key in ("text", "diagnostics") or (message and key == "valueString")
                found.add(compare(value, actual[key], here, key, text=words))
        for key in actual:
            if key not in wanted and key not in optional and key not in IGNORED:
                (found.texts if key == "diagnostics" else found.hard).append(
                    f"{path}.{key} is too much: {actual[key]!r}"[:300]
                )
    elif isinstance(expected, list):
        if not isinstance(actual, list):
            found.hard.append(f"{path}: {actual!r} is no list")
        else:
            found.add(_lists(expected, actual, path, ordered=name not in UNORDERED))
    elif not _same(expected, actual):
        (found.texts if text else found.hard).append(f"{path}: {actual!r}, expected {expected!r}")
    return found


def least(expected: Any, actual: Any) -> Any:
    """What `actual` has of that which is expected, where an answer may say more."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        return {key: least(expected[key], value) for key, value in actual.items() if key in expected}
    if isinstance(expected, list) and isinstance(actual, list):
        pairs = [(one, least(one, other)) for one in expected for other in actual]
        return [other for one, other in pairs if not compare(one, other).hard]
    return actual


def _lists(expected: list[Any], actual: list[Any], path: str, *, ordered: bool) -> Difference:
    found = Difference()
    left = list(enumerate(actual))
    for place, one in enumerate(expected):
        candidates = left[:1] if ordered else left
        rated = [(compare(one, other, f"{path}[{at}]"), at, other) for at, other in candidates]
        fitting = sorted((each for each in rated if not each[0].hard), key=lambda each: len(each[0].texts))
        if fitting:
            best, at, _ = fitting[0]
            found.texts += best.texts
            left = [each for each in left if each[0] != at]
        elif not _optional(one):
            best_guess = min((each[0].hard for each in rated), key=len, default=["nothing is left"])
            found.hard.append(f"{path}: no match for [{place}] {_short(one)}; nearest: {'; '.join(best_guess[:3])}")
    found.hard += [f"{path}[{at}] is too much: {_short(other)}" for at, other in left]
    return found


def _optional(value: Any) -> bool:
    return isinstance(value, dict) and bool(value.get("$optional$"))


def _all_optional(value: Any) -> bool:
    return _optional(value) or (isinstance(value, list) and all(map(_optional, value)))


def _same(expected: Any, actual: Any) -> bool:
    if isinstance(expected, str) and expected.startswith("$") and expected.endswith("$") and isinstance(actual, str):
        kind, _, rest = expected[1:-1].partition(":")
        if kind == "choice":
            return actual in rest.split("|")
        if kind == "fragments":
            return all(part in actual for part in re.split(r"[;|]", rest))
        if kind == "external":
            return rest.partition(":")[2] in actual
        return kind in MARKERS and MARKERS[kind].fullmatch(actual) is not None
    if isinstance(expected, int | float) and not isinstance(expected, bool):
        return isinstance(actual, int | float) and not isinstance(actual, bool) and expected == actual
    return type(expected) is type(actual) and bool(expected == actual)


def _short(value: Any) -> str:
    return repr(value)[:160]
