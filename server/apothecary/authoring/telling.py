"""Differences for people and for tools: plain text, Markdown for a pull request, and JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from apothecary.authoring.difference import PARTS, Change

_SIGNS = {"added": "+", "removed": "-", "changed": "~"}


def value_text(value: Any) -> str:
    """A value of a sheet on one line."""
    if isinstance(value, dict):
        return "; ".join(f"{key}: {value_text(one)}" for key, one in value.items())
    if isinstance(value, list):
        return ", ".join(map(value_text, value))
    return str(value)


def _lines(changes: Iterable[Change]) -> Iterator[tuple[Change, list[Change]]]:
    """The changes of each item together."""
    for _, same in groupby(changes, key=lambda one: (one.item, one.sort)):
        listed = [*same]
        yield listed[0], listed


def _said(one: Change) -> str:
    if one.before is None:
        return f"{one.path}: added {value_text(one.after)}"
    if one.after is None:
        return f"{one.path}: removed {value_text(one.before)}"
    return f"{one.path}: {value_text(one.before)} -> {value_text(one.after)}"


def text(changes: list[Change]) -> str:
    """One line a difference, below its drug and part."""
    lines: list[str] = []
    for drug, of_drug in groupby(changes, key=lambda one: one.drug):
        lines.append(drug or "(no drug)")
        for part, of_part in groupby(of_drug, key=lambda one: one.part):
            lines.append(f"  {PARTS[part]}")
            for head, same in _lines(of_part):
                named = head.label if head.label == head.item else f"{head.label} [{head.item}]"
                lines.append(f"    {_SIGNS[head.sort]} {named}")
                lines += [f"        {_said(one)}" for one in same if one.path]
    return "\n".join(lines) + "\n" if lines else "nothing changed in meaning\n"


def _escaped(value: str) -> str:
    """Text that Markdown shows as it is, on one line and in a table's cell."""
    for mark in "\\`*_[]<>|#":
        value = value.replace(mark, f"\\{mark}")
    return " ".join(value.split())


def markdown(changes: list[Change]) -> str:
    """For the comment of a pull request."""
    if not changes:
        return "Nothing changed in meaning.\n"
    counts = {sort: sum(1 for _ in _lines([one for one in changes if one.sort == sort])) for sort in _SIGNS}
    lines = [", ".join(f"{number} {sort}" for sort, number in counts.items() if number) + "."]
    for drug, of_drug in groupby(changes, key=lambda one: one.drug):
        lines += ["", f"## {_escaped(drug) or 'Not in a sheet'}"]
        for part, of_part in groupby(of_drug, key=lambda one: one.part):
            lines += ["", f"### {PARTS[part]}", ""]
            for head, same in _lines(of_part):
                named = f" (`{head.item}`)" if head.label != head.item and "`" not in head.item else ""
                lines.append(f"- **{head.sort}** {_escaped(head.label)}{named}")
                lines += [f"  - {_escaped(_said(one))}" for one in same if one.path]
    return "\n".join(lines) + "\n"


def as_json(changes: list[Change]) -> str:
    """For other tools: the changes of each drug; what is in no sheet stands under an empty name."""
    drugs = [
        {"drug": drug, "changes": [one.as_json() for one in same]}
        for drug, same in groupby(changes, key=lambda one: one.drug)
    ]
    return json.dumps({"drugs": drugs}, indent=2, ensure_ascii=False, default=str) + "\n"
