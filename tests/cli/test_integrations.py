"""What other systems run is what the command line offers: the pre-commit hook, the GitHub Action, the documentation."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from apothecary.cli import main
from apothecary.cli.validate_config import Config, read_config
from apothecary.content.documents import READING_RULES
from apothecary.reports.formats import FORMATS

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "validate.md").read_text()
WRONG = '{"resourceType": "Group", "id": "g", "foo": 1, "type": "person", "membership": "definitional"}'


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_the_hook_checks_fhir_and_leaves_other_files_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    program, *arguments = shlex.split(hook["entry"])
    assert program == "apothecary"
    Path("package.json").write_text("{}")
    assert CliRunner().invoke(main, [*arguments, "package.json"]).exit_code == 0
    Path("x.json").write_text(WRONG)
    result = CliRunner().invoke(main, [*arguments, "package.json", "x.json"])
    assert (result.exit_code, "error[unknown-element]" in result.stdout) == (1, True)
    assert re.search(hook["files"], "x.json")
    assert not re.search(hook["files"], "x.json.py")


@pytest.fixture
def runner(tmp_path: Path) -> dict[str, str]:
    """The environment of a GitHub runner on which the action's first step is done."""
    program = tmp_path / "temp" / "apothecary" / "bin" / "apothecary"
    program.parent.mkdir(parents=True)
    program.write_text(
        f"#!/bin/sh\nPYTHONPATH={shlex.quote(str(ROOT))} exec {shlex.quote(sys.executable)} "
        "-c 'from apothecary.cli import main; main()' \"$@\"\n"
    )
    program.chmod(0o755)
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    inputs = {
        f"INPUT_{name.upper().replace('-', '_')}": str(each["default"]) for name, each in action["inputs"].items()
    }
    assert inputs.keys() == action["runs"]["steps"][1]["env"].keys()
    temporary = {"RUNNER_TEMP": str(tmp_path / "temp"), "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md")}
    return {**os.environ, **inputs, **temporary}


def act(folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    script = yaml.safe_load((ROOT / "action.yml").read_text())["runs"]["steps"][1]["run"]
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_the_action_annotates_summarises_and_fails(tmp_path: Path, runner: dict[str, str]) -> None:
    work = tmp_path / "work"
    (work / "a b").mkdir(parents=True)
    (work / "a b" / "$(touch stolen).json").write_text(WRONG)
    (work / "bad.json").write_text("{")
    inputs = {"INPUT_PATHS": "a b\nbad.json\n", "INPUT_SARIF": "out.sarif", "INPUT_JUNIT": "out.xml"}
    done = act(work, {**runner, **inputs, "INPUT_STRICT": "true", "INPUT_FHIR_VERSION": "R5"})
    assert done.returncode == 1
    assert "::error file=a b/$(touch stolen).json,line=1,col=45,title=unknown-element::" in done.stdout
    assert "::error file=bad.json,line=1,col=2,title=json-syntax::" in done.stdout
    assert "error[unknown-element]" in (tmp_path / "summary.md").read_text()
    assert (work / "out.sarif").exists()
    assert (work / "out.xml").exists()
    assert not (work / "stolen").exists()


def test_the_action_passes_what_is_sound_and_tells_what_could_not_run(tmp_path: Path, runner: dict[str, str]) -> None:
    work = tmp_path / "work"
    work.mkdir()
    (work / "x.json").write_text(WRONG.replace('"foo": 1, ', ""))
    assert act(work, runner).returncode == 0
    assert act(work, {**runner, "INPUT_PATHS": "gone.json"}).returncode == 2


def test_the_page_shows_what_the_command_really_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("medication.json").write_text(blocks("json")[0])
    result = CliRunner().invoke(main, ["validate", "medication.json"])
    assert result.stdout.strip() == blocks("text")[0].strip()


def test_the_page_shows_a_configuration_that_is_one(tmp_path: Path) -> None:
    path = tmp_path / "apothecary.toml"
    (block,) = [one for one in blocks("toml") if "[validate]" in one]
    path.write_text(block)
    config = read_config(path)
    shown = {name for name in Config.__slots__ if name != "folder" and getattr(config, name) != getattr(Config(), name)}
    assert shown == set(Config.__slots__) - {"folder"}
    (tmp_path / "x.json").write_text(WRONG)
    (tmp_path / "known.json").write_text('{"version": 1, "findings": []}')
    with tarfile.open(tmp_path / "formulary.tgz", "w:gz") as package:
        package.add(ROOT / "tests" / "data" / "profiles", "package")
    result = CliRunner().invoke(main, ["validate", "--config", str(path), str(tmp_path / "x.json")])
    # Every rule and every profile that it names exists, or the status were 2.
    assert result.exit_code == 1


@pytest.mark.parametrize("name", [*READING_RULES, *FORMATS])
def test_the_page_lists_every_rule_of_reading_and_every_format(name: str) -> None:
    assert re.search(rf"^\| `{name}` \|", PAGE, re.MULTILINE)


def test_the_page_names_the_inputs_of_the_action() -> None:
    inputs: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text())["inputs"]
    assert [name for name in inputs if f"`{name}`" not in PAGE] == []
