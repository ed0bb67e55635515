"""`apothecary audit verify` says whether a record is whole, where it is not, and what to note down."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner, Result

from apothecary.cli import main
from tests.access.test_trail import change, written


def run(*words: str) -> Result:
    return CliRunner().invoke(main, ["audit", "verify", *words])


def test_the_status_and_one_line_tell_whether_it_is_whole(tmp_path: Path) -> None:
    found = run(str(written(tmp_path)))
    assert (found.exit_code, found.stdout) == (0, "")
    assert found.stderr.startswith("6 lines in 1 files, whole; the last has the hash ")
    noted = found.stderr.split()[-1]
    written(tmp_path, 2)
    assert run(str(tmp_path), "--noted", noted).exit_code == 0
    other = run(str(tmp_path), "--noted", "0123")
    assert (other.exit_code, other.stdout) == (1, f"{tmp_path}: no line has the hash 0123\n")
    change(tmp_path)
    broken = run(str(tmp_path))
    assert broken.exit_code == 1
    assert broken.stdout.startswith(f"{tmp_path / 'audit-00000001.ndjson'}:4: ")


def test_a_folder_without_a_record_is_an_error(tmp_path: Path) -> None:
    found = run(str(tmp_path))
    assert found.exit_code == 2
    assert "end.json" in found.stderr
