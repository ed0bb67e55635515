"""Of what is proved by mass, no test stays a sample: all of them are marked, so that `make test-mass` finds them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests import mass

TESTS = Path(__file__).parent
# What gives a sample, unless everything is wanted.
SAMPLING = re.compile(r"^from tests\.(mass|official) import .*\b(much|on|some_examples)\b", re.MULTILINE)


@pytest.mark.parametrize(("variable", "taken"), [("", "some"), ("1", "all")])
def test_everything_is_taken_where_it_is_asked_for(variable: str, taken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(mass.VARIABLE, variable)
    assert mass.much("some", "all") == taken
    assert mass.on("sqlite").mark.args[1] == (["sqlite", "postgresql"] if variable else ["sqlite"])


def test_what_takes_a_sample_is_marked_and_what_is_marked_takes_one() -> None:
    found = {
        file.relative_to(TESTS): (samples(file), marked(file))
        for file in TESTS.rglob("test_*.py")
        if file != Path(__file__)
    }
    assert sum(one for one, _ in found.values()) > 20
    assert {name: both for name, both in found.items() if both[0] != both[1]} == {}


def samples(file: Path) -> bool:
    """Whether a file imports what gives a sample."""
    return SAMPLING.search(file.read_text()) is not None


def marked(file: Path) -> bool:
    return re.search(r"\bmark\.mass\b", file.read_text()) is not None
