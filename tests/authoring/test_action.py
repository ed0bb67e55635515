"""The step for GitHub that posts what a pull request changes in meaning, with a stand-in for GitHub's program."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.authoring.sheets import content_folder
from tests.authoring.test_commands import edit, git, run
from tests.content.monograph import ROOT

ACTION = yaml.safe_load((ROOT / ".github" / "actions" / "diff" / "action.yml").read_text(encoding="utf-8"))
STEP = ACTION["runs"]["steps"][1]


@pytest.fixture
def runner(tmp_path: Path) -> dict[str, str]:
    """The environment of a runner on which the step before is done, and on which gh tells what it was asked to do."""
    asked, comment = (shlex.quote(str(tmp_path / name)) for name in ("asked", "comment"))
    programs = {
        "temp/apothecary/bin/apothecary": f"PYTHONPATH={shlex.quote(str(ROOT))} exec {shlex.quote(sys.executable)} "
        "-c 'from apothecary.cli import main; main()' \"$@\"",
        "bin/gh": f'printf "%s\\n" "$@" > {asked}; cp "$5" {comment}',
    }
    for name, script in programs.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True)
        path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        path.chmod(0o755)
    return {
        **os.environ,
        "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "RUNNER_TEMP": str(tmp_path / "temp"),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
        **{f"INPUT_{name.upper()}": str(one["default"]) for name, one in ACTION["inputs"].items()},
        "INPUT_CONTENT": "content",
        "PULL_REQUEST": "7",
        "PULL_BASE": "HEAD",
    }


def act(folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", STEP["run"]]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    root = content_folder(tmp_path / "work" / "content")
    run("build", "--content", root)
    git(root.parent, "init", "-q", "-b", "main")
    git(root.parent, "add", "-A")
    git(root.parent, "commit", "-qm", "one")
    return root.parent


def test_the_step_keeps_one_comment_with_what_changed(work: Path, runner: dict[str, str], tmp_path: Path) -> None:
    edit(work / "content", "description: Do not fly kites", "description: Fly no kites")
    run("build", "--content", work / "content")
    done = act(work, runner)
    assert done.returncode == 0, done.stderr
    asked = (tmp_path / "asked").read_text(encoding="utf-8").split("\n")
    assert asked[:3] == ["pr", "comment", "7"]
    assert {"--edit-last", "--create-if-none"} <= {*asked}
    said = (tmp_path / "comment").read_text(encoding="utf-8")
    assert "- **changed** kites" in said
    assert (tmp_path / "summary.md").read_text(encoding="utf-8") == said


def test_the_step_without_a_pull_request_writes_the_summary_alone(
    work: Path, runner: dict[str, str], tmp_path: Path
) -> None:
    assert act(work, {**runner, "PULL_REQUEST": "", "INPUT_BASE": "HEAD"}).returncode == 0
    assert (tmp_path / "summary.md").read_text(encoding="utf-8") == "Nothing changed in meaning.\n"
    assert not (tmp_path / "asked").exists()
    assert act(work, {**runner, "PULL_BASE": ""}).returncode == 2
    assert act(work, {**runner, "INPUT_BASE": "$(touch stolen)"}).returncode == 2
    assert not (work / "stolen").exists()


def test_a_comment_is_no_longer_than_github_takes(work: Path, runner: dict[str, str], tmp_path: Path) -> None:
    edit(work / "content", "description: Do not fly kites", f"description: {'é' * 70_000}")
    run("build", "--content", work / "content")
    assert act(work, runner).returncode == 0
    said = (tmp_path / "comment").read_text(encoding="utf-8")
    assert len(said) < 65_536
    assert said.endswith("The rest is in the job summary.\n")


def test_the_step_is_given_what_it_asks_for() -> None:
    named = {name for name in STEP["env"] if name.startswith("INPUT_")}
    assert named == {f"INPUT_{name.upper()}" for name in ACTION["inputs"]}
    assert json.dumps(STEP["run"]).count("${{") == 0
