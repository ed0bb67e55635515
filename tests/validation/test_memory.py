"""However many profiles a process checks, what it remembers of them is bounded in bytes."""

from __future__ import annotations

import subprocess
import sys

import pytest

MB = 1024 * 1024


def memory(*arguments: int) -> tuple[int, int]:
    """The memory after a quarter of the profiles and at the end, in bytes."""
    command = [sys.executable, "-m", "tests.validation.many_profiles", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    early, late = map(int, done.stdout.split())
    return early, late


@pytest.mark.slow
def test_the_memory_of_a_process_does_not_grow_with_the_profiles_it_has_checked() -> None:
    unbounded = memory(800, 40, 1000 * MB)
    bounded = memory(800, 40, 2 * MB)
    assert unbounded[1] - unbounded[0] > 15 * MB, "the profiles are too few to show anything"
    assert bounded[1] - bounded[0] < 6 * MB


@pytest.mark.heavy
def test_twelve_thousand_profiles_take_no_more_than_the_caches_may() -> None:
    early, late = memory(12_000, 40)
    assert late - early < 64 * MB, (early, late)
