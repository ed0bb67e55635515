"""What a test needs and this machine lacks: the test is skipped, but fails in continuous integration."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def missing(reason: str) -> NoReturn:
    """Skip the test that calls this; with `CI` set fail it, since there nothing may be left untested in silence."""
    if os.environ.get("CI"):
        pytest.fail(f"in continuous integration this must not be missing: {reason}", pytrace=False)
    pytest.skip(reason)
