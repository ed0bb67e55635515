"""Proofs by mass: `make test` takes a sample of each, `make test-mass` all of it.

Mark such a test with `pytest.mark.mass`, and let `much` say how much of it is taken:

    @pytest.mark.mass
    @settings(max_examples=much(10, 60))
"""

from __future__ import annotations

import os
from typing import TypeVar

import pytest

VARIABLE = "APOTHECARY_TEST_WHOLE"
"""The environment variable that `make test-mass` sets."""

T = TypeVar("T")


def much(sample: T, whole: T) -> T:
    """`sample`, or `whole` where everything is wanted: a number of turns, of examples, or a table of cases."""
    return whole if os.environ.get(VARIABLE) else sample


def on(engine: str) -> pytest.MarkDecorator:
    """Runs a test that takes `database_url` on one engine where a sample is wanted, and on both for the whole."""
    return pytest.mark.parametrize("database_url", much([engine], ["sqlite", "postgresql"]), indirect=True)
