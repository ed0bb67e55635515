"""The name that was meant is found whatever the case, and none is made up."""

from __future__ import annotations

from typing import Any

import pytest

from apothecary.suggestions import did_you_mean, nearest, or_rather

KNOWN = ("active", "inactive", "entered-in-error")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("actve", "active"),
        ("ACTIVE", "active"),
        ("enteredinerror", "entered-in-error"),
        ("draft", None),
        ("", None),
        (3, None),
        (None, None),
        ("active" * 20, None),
    ],
)
def test_the_nearest_known_name_is_found_or_none(written: Any, meant: str | None) -> None:
    assert nearest(written, KNOWN) == meant
    assert did_you_mean(written, KNOWN) == (meant and f"Did you mean {meant!r}?")
    assert or_rather(written, KNOWN) == (f" (did you mean {meant!r}?)" if meant else "")


def test_of_endless_names_only_the_first_are_looked_at() -> None:
    def names() -> Any:
        yield from (f"x{number}" for number in range(6000))
        raise AssertionError("too many were asked for")

    assert nearest("x17", names()) == "x17"
