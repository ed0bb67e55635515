"""Known weaknesses end the audit with status 1; what nobody could say of a file is said aloud."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts import audit

CLEAN = (0, "No known vulnerabilities found")
WEAK = (1, "Found 2 known vulnerabilities in 1 package\nflask 0.1 PYSEC-1 0.2")
GONE = (1, "requests.exceptions.ConnectionError: Max retries exceeded")
MIRROR = (
    0,
    "No known vulnerabilities found\nflask  Dependency not found on PyPI and could not be audited: flask (3.1.0)",
)
WRONG = (1, "ERROR: the file is no list of requirements")


@pytest.mark.parametrize(
    ("answers", "status", "skipped"),
    [
        ([CLEAN], 0, False),
        ([WEAK], 1, False),
        ([WRONG], 1, False),
        ([GONE, CLEAN], 0, False),
        ([MIRROR, WEAK], 1, False),
        ([GONE, GONE], 0, True),
        ([MIRROR, GONE], 0, True),
        ([(1, WEAK[1] + MIRROR[1])], 1, False),
    ],
)
@pytest.mark.parametrize("actions", [False, True])
def test_the_first_service_that_can_say_is_believed(
    answers: list[tuple[int, str]],
    status: int,
    skipped: bool,
    actions: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    left = list(answers)
    monkeypatch.setattr(audit, "audit", lambda *_: left.pop(0))
    monkeypatch.setenv("GITHUB_ACTIONS", "true" if actions else "")
    assert audit.main([Path("run.txt")]) == status
    assert left == []
    assert ("run.txt was not looked up" in capsys.readouterr().err) is skipped


def test_every_file_of_requirements_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(audit, "audit", lambda file, _: seen.append(file.name) or CLEAN)
    assert audit.main() == 0
    assert set(seen) == {path.name for path in audit.REQUIREMENTS.glob("*.txt")}
