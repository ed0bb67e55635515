"""A baseline hides what was agreed to, no more than once each, and says what is mended."""

from __future__ import annotations

from pathlib import Path

import pytest

from apothecary.errors import Issue, StartError
from apothecary.reports.baseline import Baseline, write_baseline
from apothecary.reports.report import Finding


def finding(message: str, line: int = 1) -> Finding:
    return Finding("x.json", "Group/g", Issue("error", "value", message, ("Group",), rule="r"), line, 1, "", 0)


def test_what_is_known_is_known_as_often_as_it_was_counted(tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    assert write_baseline(path, [finding("a"), finding("b"), finding("a", line=9)]) == 3
    baseline = Baseline.read(path)
    assert [baseline.knows(finding("a", line)) for line in (3, 4, 5)] == [True, True, False]
    assert not baseline.knows(finding("c"))
    assert baseline.unused == 1


def test_the_file_does_not_depend_on_the_order_of_findings(tmp_path: Path) -> None:
    write_baseline(tmp_path / "one", [finding("a"), finding("b")])
    write_baseline(tmp_path / "two", [finding("b"), finding("a", line=2)])
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"version": 2}', '{"version": 1, "findings": [{}]}', "[" * 50_000, None]
)
def test_what_is_no_baseline_is_refused(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "baseline.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(StartError, match=r"baseline\.json"):
        Baseline.read(path)
