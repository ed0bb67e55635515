"""The benchmark of exports exports what it says."""

from __future__ import annotations

from click.testing import CliRunner

from benchmarks.exports import main


def test_all_that_was_written_is_exported() -> None:
    result = CliRunner().invoke(main, ["--resources", "1200"], catch_exceptions=False)
    assert result.output.startswith("1200 resources, 1 MB in 1 files: ")
