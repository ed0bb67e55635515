"""Whether a search looks where the index is incomplete: https://hl7.org/fhir/R5/search.html#errors"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import fields, is_dataclass
from typing import Any

from apothecary.errors import Busy, Issue


def asked(search: Any, incomplete: Mapping[str, Set[str]]) -> list[str]:
    """Those of the names in the index, as `Type?name`, that are `incomplete` and that a search, its order or its
    includes look at. A text of the request that reads like one counts as one.
    """
    if not incomplete:
        return []
    # A composite has rows under its name and a number, a reference also under its name and ":identifier".
    said = {name for text in _texts(search) for name in (text.partition("$")[0], text.partition(":")[0])}
    return [
        f"{kind}?{name}" for kind, names in sorted(incomplete.items()) if kind in said for name in sorted(names & said)
    ]


def warning(names: list[str]) -> Issue:
    """What an answer tells of them."""
    return Issue(
        "warning",
        "incomplete",
        f"the index of {', '.join(names)} is being made, so resources may be missing from this answer, or be in it "
        "wrongly",
        remedy="Ask again later; [base]/metadata tells how far it is. Prefer: handling=strict waits for it.",
    )


def refused(names: list[str]) -> Busy:
    """What is answered where an incomplete answer would do harm."""
    return Busy(
        f"the index of {', '.join(names)} is being made",
        code="incomplete",
        remedy="Try again later; [base]/metadata tells how far it is.",
        headers={"Retry-After": "5"},
    )


def _texts(node: Any) -> Iterator[str]:
    """Every text in a tree of dataclasses."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, Mapping):
        for key, value in node.items():
            yield from _texts(key)
            yield from _texts(value)
    elif isinstance(node, tuple | list | frozenset):
        for one in node:
            yield from _texts(one)
    elif is_dataclass(node):
        for one in fields(node):
            # What does not count in a comparison was noted by whoever ran it.
            if one.compare:
                yield from _texts(getattr(node, one.name))
