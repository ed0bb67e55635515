"""`apothecary validate --fix` writes what it mends, `--diff` shows it, and both leave the rest alone."""

from __future__ import annotations

import gzip
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from apothecary.cli import main
from apothecary.errors import StartError

BROKEN = b'{"resourceType": "Medication",\r\n "id": "a ", "status": "active"}'
MENDED = b'{"resourceType": "Medication",\r\n "id": "a", "status": "active"}'


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["validate", *arguments], catch_exceptions=False)


def test_a_fix_is_written_and_the_mended_file_is_checked() -> None:
    path = Path("a.json")
    path.write_bytes(BROKEN)
    path.chmod(0o640)
    result = run("a.json", "--fix")
    assert path.read_bytes() == MENDED
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert result.exit_code == 0
    assert "1 file mended." in result.stderr
    assert [*Path().iterdir()] == [path]


def test_a_diff_alone_writes_nothing_and_fails_while_there_is_something_to_mend() -> None:
    Path("a.json").write_bytes(BROKEN)
    result = run("a.json", "--diff")
    assert result.exit_code == 1
    assert '- "id": "a ", "status": "active"}' in result.stdout
    assert '+ "id": "a", "status": "active"}' in result.stdout
    assert Path("a.json").read_bytes() == BROKEN
    assert run("a.json", "--diff", "--exit-zero").exit_code == 0
    Path("a.json").write_bytes(MENDED)
    assert run("a.json", "--diff").exit_code == 0


def test_both_show_and_write() -> None:
    Path("a.json").write_bytes(BROKEN)
    assert "+++ a.json" in run("a.json", "--diff", "--fix").stdout
    assert Path("a.json").read_bytes() == MENDED


def test_a_link_stays_a_link() -> None:
    Path("a.json").write_bytes(BROKEN)
    Path("link.json").symlink_to("a.json")
    run("link.json", "--fix")
    assert Path("link.json").is_symlink()
    assert Path("a.json").read_bytes() == MENDED


def test_what_is_not_mended_is_told() -> None:
    Path("a.json.gz").write_bytes(gzip.compress(BROKEN))
    result = run("a.json.gz", "--fix")
    assert "1 left alone: compressed" in result.stderr
    assert gzip.decompress(Path("a.json.gz").read_bytes()) == BROKEN


@pytest.mark.parametrize("version", ["R4", "R5"])
def test_xml_and_yaml_are_mended_in_their_own_release(version: str) -> None:
    # Its strength is a Ratio in R4 alone; no file says its release.
    strength = "strength" if version == "R4" else "strengthRatio"
    item = "itemCodeableConcept: {text: x}" if version == "R4" else "item: {concept: {text: x}}"
    text = f"resourceType: Medication\ningredient:\n- {item}\n  {strength}: {{numerator: {{value: 1, unit: mg, "
    text += "system: 'http://unitsofmeasure.org', code: MG}, denominator: {value: 1}}\n"
    Path("a.yaml").write_text(text)
    assert run("a.yaml", "--fix", "--fhir-version", version).exit_code == 0
    assert Path("a.yaml").read_text() == text.replace("MG", "mg")
    Path("a.xml").write_text('<Medication xmlns="http://hl7.org/fhir"><id value=" a"/></Medication>')
    assert '+<Medication xmlns="http://hl7.org/fhir"><id value="a"/></Medication>' in run("a.xml", "--diff").stdout


def test_standard_input_cannot_be_mended() -> None:
    result = CliRunner().invoke(main, ["validate", "-", "--fix"], input="{}")
    assert result.exit_code == 2 or isinstance(result.exception, StartError)
    assert "standard input" in (result.output or str(result.exception))
