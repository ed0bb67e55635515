"""An import that was ended in the midst leaves nothing half, and run again leaves what it would have left at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.durability.processes import unsound
from tests.importers.held import held
from tests.waiting import PATIENCE

ROOT = Path(__file__).parents[2]
ROWS = 300


def imported(file: Path, url: str, **environment: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "tests.importers.plain", "import", "plain", str(file), "--database", url]
    env = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'server'}"} | environment
    return subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True, timeout=10 * PATIENCE, check=False)


def said(url: str) -> dict[str, Any]:
    """What is held, but for when it was written, and by which version of what."""
    found = held(url)
    for one in found.values():
        del one["meta"]["lastUpdated"]
        one.pop("recorded", None)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_an_import_that_was_ended_in_the_midst_is_taken_up_by_the_next(
    database_url: str, tmp_path: Path, end: signal.Signals
) -> None:
    lines = [f"{number:05}\tname {number}\ttablet\n".encode() for number in range(ROWS)]
    file = tmp_path / "one.txt"
    file.write_bytes(b"".join([*lines[:250], f"!{end:d}\n".encode(), *lines[250:]]))
    first = imported(file, database_url, PLAIN_SIGNALS="yes")
    if end is signal.SIGKILL:
        assert first.returncode == -end, first.stderr
    else:
        assert first.returncode == 1, first.stderr
        assert "interrupted: run it again for the rest" in first.stderr
    part = said(database_url)
    # Some of it is there, whole; nothing says that the catalogue is.
    assert 0 < len(part) < ROWS
    assert {one["resourceType"] for one in part.values()} == {"Medication"}
    assert unsound(database_url) == []
    again = imported(file, database_url)
    assert again.returncode == 0, again.stderr
    assert f"{ROWS + 2 - len(part)} created, 0 updated, {len(part)} unchanged\n" in again.stderr
    assert unsound(database_url) == []
    whole = f"sqlite:///{tmp_path / 'whole.db'}"
    assert imported(file, whole).returncode == 0
    assert said(database_url) == said(whole)
